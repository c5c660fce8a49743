package main

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// goodbye is how long seatrial may take to acknowledge the end of a command.
// While there are volumes it ends the services first, which may write to them.
const (
	goodbye     = 500 * time.Millisecond
	longGoodbye = 10 * time.Second
)

// doorbell is the connection to seatrial.
type doorbell struct {
	conn     net.Conn
	talk     *protocol.Conn
	answered chan *protocol.Go
	aborted  chan protocol.Abort
	bye      chan struct{} // closed when nothing more will come
}

// ring connects, and says hello.
func ring(socket string, hello protocol.Hello) (*doorbell, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	d := &doorbell{
		conn: conn, talk: protocol.NewConn(conn), answered: make(chan *protocol.Go, 1),
		aborted: make(chan protocol.Abort, 1), bye: make(chan struct{}),
	}
	hello.Version = protocol.Version
	if err := d.talk.Send(protocol.Message{Hello: &hello}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	go d.listen()
	return d, nil
}

// listen takes what comes until the end of the conversation. Without seatrial
// there are no services, so losing it is as good as being told to end.
func (d *doorbell) listen() {
	defer close(d.bye)
	for {
		m, err := d.talk.Receive()
		switch {
		case errors.Is(err, io.EOF):
			d.abort(protocol.Abort{Reason: "the connection to seatrial was closed"})
			return
		case err != nil:
			d.abort(protocol.Abort{Reason: "the connection to seatrial was lost: " + err.Error()})
			return
		case m.Go != nil:
			select {
			case d.answered <- m.Go:
			default: // said before
			}
		case m.Abort != nil:
			d.abort(*m.Abort)
		case m.Bye != nil:
			return
		}
	}
}

// abort keeps the first reason.
func (d *doorbell) abort(a protocol.Abort) {
	select {
	case d.aborted <- a:
	default:
	}
}

// report says how the command ended and waits for the answer: what is on its way
// when the container ends may be lost.
func (d *doorbell) report(res protocol.Result, patience time.Duration) {
	defer d.conn.Close()
	_ = d.conn.SetWriteDeadline(time.Now().Add(goodbye))
	if err := d.talk.Send(protocol.Message{Exit: &res}); err != nil {
		return // seatrial is gone; the exit code says the same
	}
	select {
	case <-d.bye:
	case <-time.After(patience):
	}
}
