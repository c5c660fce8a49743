// Package registry pushes an image that lies in a content store, such as a
// buildkitd's, to any number of registries: first its blobs, and on a second
// call its manifests and then its tags. Between the two calls nothing that a
// registry serves under a tag or a manifest digest has changed, so the caller
// can decide in the meantime whether the image may be shipped.
//
//	image, err := registry.Load(ctx, registry.DaemonContent(client), desc, registry.LoadOptions{})
//	push, err := registry.NewPush(refs, registry.Options{})
//	err = push.Upload(ctx, image) // while the tests run
//	pushed, err := push.Commit(ctx, image) // once they have passed
//
// Load gives a v1.Image or v1.ImageIndex of go-containerregistry; NewPush takes
// any of those, wherever they come from.
//
// The package builds nothing, runs nothing and knows no BuildKit client: a
// content store is all it asks for.
package registry
