package main

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/urfave/cli/v2"
)

const contextUsage = "[CONTEXT]"

func runCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "build, test, push", ArgsUsage: contextUsage,
		Description: "Builds the image, runs its tests in it, and moves the tags when all of them passed.\n\n" +
			"   seatrial run -t registry.example.com/app:1.2 --test ./test.sh .",
		Flags: slices.Concat(buildFlags(), failureFlag(),
			destinationFlags("to push to; may be repeated, across registries (default: [$REGISTRY/]$ACCOUNT/$IMAGE with the tags $TAG and latest)", "does nothing: run pushes"),
			imageFlags(), testFlags(), []cli.Flag{boolFlag(catTest, "untested", "push without any test"), signFlag(), dryRunFlag("build and test, and tell what a push would send, mount and tag, and by whose credentials; move nothing, and write no output and no cache")}, keylessFlags(), registryFlags(), builderFlags(), outputFlags(), dockerFlags()),
		Action: func(c *cli.Context) error { return execute(c, std, modeRun) },
	}
}

func buildCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "build; push nothing unless told", ArgsUsage: contextUsage,
		Description: "Builds the image into the builder's content store and prints its digest. What -o and\n" +
			"--push give away has not been tested: that is what run and test are for.\n\n" +
			"   seatrial build -o type=oci,dest=app.tar .",
		Flags: slices.Concat(buildFlags(), failureFlag(), callFlags(), destinationFlags("that names the image, and with --push is pushed to", "push the image, untested"),
			imageFlags(), registryFlags(), builderFlags(), outputFlags(), dockerFlags()),
		Action: func(c *cli.Context) error { return execute(c, std, modeBuild) },
	}
}

func testCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "build and test; push nothing", ArgsUsage: contextUsage,
		Description: "Builds the image and runs its tests in it.",
		Flags: slices.Concat(buildFlags(), failureFlag(), destinationFlags("that names the image in outputs", "is refused: run pushes"),
			imageFlags(), testFlags(), []cli.Flag{boolFlag(catTest, "watch", "build and test again whenever the context, the Dockerfile or seatrial.yaml changes; a change while a test runs ends that")},
			registryFlags(), builderFlags(), outputFlags(), dockerFlags()),
		Action: func(c *cli.Context) error { return executeTest(c, std) },
	}
}

func versionCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the versions of seatrial and of the BuildKit in it",
		Action: func(*cli.Context) error {
			_, err := fmt.Fprintf(std.Out, "seatrial %s\nbuildkit %s (Dockerfile converter and client)\n", version, moduleVersion("github.com/moby/buildkit"))
			return err
		},
	}
}

// moduleVersion is the version of a module that this binary was built with.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
