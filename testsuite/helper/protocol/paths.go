package protocol

// Version is that of everything in this package. The helper and seatrial are one
// build; a helper that finds another version in a message says so and ends.
const Version = 1

// Where things lie inside a container that has the helper.
const (
	// BinDir is where the helper's image is mounted, read-only.
	BinDir = "/.seatrial/bin"
	// Init is the helper, the only file of its image.
	Init = BinDir + "/init"
	// OutDir is a usual place for Run.Out.
	OutDir = "/.seatrial/out"
	// ControlFile is a usual place for Run.Control.
	ControlFile = "/.seatrial/control.json"
	// DoorbellSocket is a usual place for Run.Doorbell.
	DoorbellSocket = "/.seatrial/doorbell.sock"
	// MeshDir is a usual place for the directory that tests and services share.
	MeshDir = "/.seatrial/mesh"
	// VolumesDir is a usual place for Run.Volumes.
	VolumesDir = "/.seatrial/volumes"
	// ShardDir has the list of a shard's files, ShardFile.
	ShardDir = "/.seatrial/shard"
	// ShardFile is a file in ShardDir, with a line for each of the shard's files.
	ShardFile = "files"
)

// The files in Run.Out.
const (
	LogFile    = "output.log"  // everything that the command printed
	StdoutFile = "stdout.log"  // with Run.Split
	StderrFile = "stderr.log"  // with Run.Split
	ResultFile = "result.json" // a Result
	SplitFile  = "split.json"  // of Split
)

// Exit codes of the helper, where they are not the command's own. A command that
// a signal ends gets 128 and the signal's number, as in a shell.
const (
	ExitTimeout     = 124 // the time limit was reached
	ExitHelper      = 125 // the helper could not do what it was told
	ExitCannotStart = 126 // the command is there, but cannot be executed
	ExitNotFound    = 127 // there is no such command
)
