// Package config reads seatrial.yaml: what a project says of its image, its tests
// and their services.
//
// It knows no flags and does no I/O: [Load] checks the bytes of a file, key by key;
// [File.Settings] are the values that flags have too, for them to parse; [File.Suite]
// are the tests, which no flag can say as well. Variables are looked up only then, so
// that one that is missing does not matter to who needs it not. Every error is an
// [*Error], with the place in the file.
//
// The structs' tags are the file's definition: "key" is a name in the file, "flag" the
// flag that it stands for, "doc" its meaning. seatrial.schema.json is made from them:
//
//	go test ./cmd/internal/config -update
package config
