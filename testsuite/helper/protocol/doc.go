// Package protocol is what seatrial and its helper inside a container say to each
// other: the arguments that the helper is started with, the files that it reads
// and writes, and the messages on the socket that joins a test to its services.
//
// It is compiled into the helper, so it imports little.
package protocol
