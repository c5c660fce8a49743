// Package junit reads and writes JUnit XML, in the dialects that test runners write:
// pytest, Maven Surefire, Gradle, Jest, PHPUnit, RSpec, googletest, .NET, and the
// converters of Go's tests. It counts test cases; what a suite's attributes say of
// their number is ignored, since they are often wrong.
//
//	rep, err := junit.Parse(file)
//	fmt.Printf("%d failed of %d\n", rep.Count(junit.Failed), len(rep.Cases()))
package junit
