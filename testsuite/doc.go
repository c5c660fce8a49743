// Package testsuite says what a test of an image is, runs tests as build stages
// on a buildkitd, and reports what came out.
//
// A [Test] is a stage of the Dockerfile, or a command in the built image. A
// [Suite] of them runs beside the build of the image that they try:
//
//	suite := &testsuite.Suite{Tests: []testsuite.Test{{Command: "./test.sh"}}}
//	res, err := llb.Solve(ctx, client, opt, llb.Phases{
//		Stages: suite.Stages,
//		Try:    suite.Try,
//		Ship:   ship,
//	})
//	report := suite.Report(res.Record)
//
// A test that passed on an image does not run again on the same image; one that
// failed runs again each time.
package testsuite
