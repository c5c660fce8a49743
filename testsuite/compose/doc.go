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
// It runs nothing. What Compose can say and a test cannot have, a privileged
// container or the host's network, is an error that names the line.
package compose
