// Package filewatch tells when files change: those of directory trees, less what is
// ignored there, and single ones. It waits until whoever changes them pauses, so that
// an editor that writes a file, moves it into place and tidies up is one change.
package filewatch
