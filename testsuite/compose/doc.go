// Package compose reads Compose files that test an image, as Docker Hub's automated
// tests had them: the service sut tries the image and decides by its exit code, and
// what it depends on runs beside it.
//
//	files, err := compose.Find(".")
//	for _, name := range files {
//		f, err := compose.Load(ctx, name, compose.Options{ContextDir: "."})
//		suite.Tests = append(suite.Tests, f.Test)
//	}
//
// The image that was just built is meant by `build: .` with the project's own
// Dockerfile, by `image: this`, and by the image's names. Another target of that
// Dockerfile is a stage, and any other build one beside the image's.
//
// All services are on one network, in which names and aliases are unique. They have no
// other, unless network_mode is bridge. Of ports those inside the container count, and
// TCP alone. Bind mounts are of the build context, and what is written to them is lost;
// so are volumes, which services can share, at the end of the test.
//
// It runs nothing. What Compose can say and a test cannot have, a privileged
// container or the host's network, is an error that names the line.
package compose
