// Package corpus has Dockerfiles as people write them, each with its context and
// with the flags that build it: those of seatrial and, written out a second
// time, those of buildctl. Both must make the same image of it, digest for
// digest; cmd/seatrial's TestCorpus has them do so on one daemon.
//
// A case is a txtar file in cases/. Its comment has one directive a line:
//
//	# text                 what the case is about
//	seatrial ARGUMENT      one more argument for seatrial
//	buildctl ARGUMENT      one more argument for buildctl build
//	env NAME=VALUE         a variable in the environment of both
//	prepare COMMAND        run by sh in the context, for what txtar cannot hold
//	context URL            the context, if it is not the files of the case
//	command NAME           seatrial's command (default: build)
//	rootful                needs a daemon that runs as root
//	fresh                  runs its steps again in the second build, too
//
// In the values of all but prepare, $NAME is one of the World's variables. The
// images that the Dockerfiles start from are stand-ins: see [Images].
package corpus
