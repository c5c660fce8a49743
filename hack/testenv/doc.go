// Package testenv starts the real parts that the tests run against: registries,
// build daemons, and images that come from no registry. Everything it starts
// ends with the test, or with testenv.Main for what tests share. Nothing is
// skipped: a part that is missing on the machine fails the test and is named.
//
//	func TestPush(t *testing.T) {
//		reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
//		testenv.Push(t, reg.Host+"/team/app:1", testenv.BusyboxImage(t))
//	}
package testenv
