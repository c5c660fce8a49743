package main

import "github.com/urfave/cli/v2"

// Flags that know their names. Those of urfave/cli (v2.27) make them anew, with a regular
// expression, whenever one is looked up: for a command with a hundred flags some ten
// thousand times, which is as long as asking the daemon for a build takes. And it sorts
// flags into categories by their lines of help, which ours has no use for.
type (
	quickString struct {
		*cli.StringFlag
		names []string
	}
	quickBool struct {
		*cli.BoolFlag
		names []string
	}
	quickList struct {
		*cli.StringSliceFlag
		names []string
	}
)

// Names implements cli.Flag.
func (f quickString) Names() []string { return f.names }

// Names implements cli.Flag.
func (f quickBool) Names() []string { return f.names }

// Names implements cli.Flag.
func (f quickList) Names() []string { return f.names }

// String implements cli.Flag.
func (f quickString) String() string { return f.names[0] }

// String implements cli.Flag.
func (f quickBool) String() string { return f.names[0] }

// String implements cli.Flag.
func (f quickList) String() string { return f.names[0] }

func quick(flags []cli.Flag) []cli.Flag {
	out := make([]cli.Flag, len(flags))
	for i, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			out[i] = quickString{f, f.Names()}
		case *cli.BoolFlag:
			out[i] = quickBool{f, f.Names()}
		case *cli.StringSliceFlag:
			out[i] = quickList{f, f.Names()}
		default:
			out[i] = f
		}
	}
	return out
}

// isList tells whether a flag may be repeated.
func isList(f cli.Flag) bool {
	_, ok := f.(quickList)
	return ok
}
