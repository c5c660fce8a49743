// Package helper holds the program that is the first process of a test or a
// service in a container, built for each architecture that images are tested on.
// Package protocol beside it says how to start the program and to talk with it,
// package init is the program.
//
// The programs are built before this package, by `make build`. A program that was
// built without them works until it needs one:
//
//	image, err := helper.NewImage("arm64", 0)
//
// is an image of nothing but [protocol.Init], to be offered to a daemon as a
// content store by the session:
//
//	session.Allow(content.NewAttachable(map[string]content.Store{helper.SessionStoreID: helper.Store(image)}))
//	state := llb.OCILayout(image.Reference(), llb.OCIStore("", helper.StoreID))
package helper
