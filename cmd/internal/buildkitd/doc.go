// Package buildkitd finds a buildkitd, dials it, or starts one.
//
// It knows four places to look, in this order: the address in BUILDKIT_HOST,
// the default socket of a rootful daemon, the default socket of a rootless one,
// and last a private daemon that it starts for this user. Whatever it returns
// has answered a request; a socket file alone proves nothing.
//
// A private daemon is shared: every process of this user that works with the
// same state directory uses the same daemon, and the last one out stops it.
// File locks count the users, because the kernel gives those back when a
// process dies, however it dies. The state stays, so the next run is warm.
//
// The package does not build anything, and does not configure a daemon beyond
// where its files lie: buildkitd.toml is read by buildkitd itself.
//
//	b, err := buildkitd.Connect(ctx, buildkitd.Options{Addr: "auto"})
//	if err != nil {
//		return err
//	}
//	defer b.Close()
//	_, err = b.Client.Solve(ctx, def, client.SolveOpt{}, nil)
package buildkitd
