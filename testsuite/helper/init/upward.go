package main

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Who reaches a service before it is ready is to be refused, as by the service itself:
// scripts that wait for a port see it open otherwise. So beside each exported socket is
// another, which tells those who connect whether the service listens: a byte again and
// again, until it does.

const (
	upSuffix  = ".up"
	isUp      = 'y'
	isDown    = 'n'
	patient   = 50 * time.Millisecond // between two looks, after soon
	soon      = 5 * time.Second
	firstWord = time.Second // the most that it takes to say what is so now
)

// tellUp tells one connection.
func tellUp(conn net.Conn, address string) {
	defer conn.Close()
	began := time.Now()
	for {
		word := byte(isDown)
		if listens(address) {
			word = isUp
		}
		if _, err := conn.Write([]byte{word}); err != nil || word == isUp {
			return // nobody wants to know, or nobody has to any more
		}
		if time.Since(began) > soon {
			time.Sleep(patient)
		} else {
			time.Sleep(look)
		}
	}
}

// listens tells whether somebody accepts connections at an address.
func listens(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	want, _ := strconv.Atoi(port)
	return slices.ContainsFunc(listPorts(nil).Listening, func(l protocol.Listener) bool {
		ip := net.ParseIP(l.Address)
		return l.Port == want && ip != nil && (ip.IsUnspecified() || l.Address == host)
	})
}

// upward listens at an address once the service behind a socket does. It returns when
// that is so, or will be seen to in the background.
func (l *links) upward(f protocol.Forward) error {
	conn, err := net.Dial("unix", f.Socket+upSuffix)
	if err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(firstWord))
		if hears(conn, 1) {
			return errors.Join(conn.Close(), l.listen(f))
		}
		_ = conn.SetReadDeadline(time.Time{})
	}
	l.done.Go(func() {
		for !l.followUp(conn) {
			select {
			case <-l.over:
				return
			case <-time.After(again):
			}
			conn, _ = net.Dial("unix", f.Socket+upSuffix) // nil: it is not started yet
		}
		if err := l.listen(f); err != nil && !l.isOver() {
			_ = refuse(l.named(f, err)) // says why
		}
	})
	return nil
}

// followUp reads what a service says, which may be nil, until it is up.
func (l *links) followUp(conn net.Conn) bool {
	if conn == nil {
		return false
	}
	defer conn.Close()
	heard := make(chan bool, 1)
	go func() { heard <- hears(conn, -1) }()
	select {
	case up := <-heard:
		return up
	case <-l.over:
		return false
	}
}

// hears reads so many bytes, or all if there are fewer, for the one that says up.
func hears(conn net.Conn, most int) bool {
	var word [1]byte
	for ; most != 0; most-- {
		if _, err := conn.Read(word[:]); err != nil {
			return false
		}
		if word[0] == isUp {
			return true
		}
	}
	return false
}
