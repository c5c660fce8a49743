// Package credentials finds the credentials for a repository of a registry, in one
// documented order, and says where it found them:
//
//	sources, err := credentials.Default(os.Getenv)
//	keychain := credentials.NewKeychain(sources...)
//	push, err := registry.NewPush(refs, registry.Options{Keychain: keychain})
//
// It looks at nothing but what it is asked for: a host that no one names is no
// host that any helper, cloud or variable is asked about. What it finds goes to
// the registry alone, never into a message.
package credentials
