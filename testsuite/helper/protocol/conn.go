package protocol

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// maxMessage is more than any message needs. What comes out of a container is
// not to be trusted with the memory of what reads it.
const maxMessage = 1 << 20

// Message is one line of the conversation at the doorbell. Exactly one field is
// set. In this order:
//
//	helper:   Hello      the test is not cached, and wants to run
//	seatrial: Go         its services are ready
//	          or Abort, then or at any time later
//	helper:   Exit       the command ended
//	seatrial: Bye        the helper may end
type Message struct {
	Hello *Hello  `json:"hello,omitempty"`
	Go    *Go     `json:"go,omitempty"`
	Abort *Abort  `json:"abort,omitempty"`
	Exit  *Result `json:"exit,omitempty"`
	Bye   *Bye    `json:"bye,omitempty"`
}

// Hello is the helper's first word.
type Hello struct {
	Version int    `json:"version"`
	Name    string `json:"name,omitempty"` // Run.Name
	// Volumes is the name of the directory in Run.Volumes, 32 digits of [0-9a-f].
	Volumes string `json:"volumes,omitempty"`
}

// Go lets the command start.
type Go struct {
	// Listen are TCP addresses that lead to the services.
	Listen []Forward `json:"listen,omitempty"`
	// Env is added to the command's environment.
	Env map[string]string `json:"env,omitempty"`
	// Volumes are to be found at their targets when the command starts.
	Volumes []Volume `json:"volumes,omitempty"`
	// Sees is a socket of a service. Where it is not there the helper does not see the
	// directory that the services see, and exits with ExitHelper and the error Apart.
	Sees string `json:"sees,omitempty"`
}

// Apart is what becomes of a test that does not share a directory with its services.
const Apart = "the builder gave the test another directory than its services have"

// Abort ends the command, or keeps it from starting.
type Abort struct {
	// Reason is printed where the command prints.
	Reason string `json:"reason"`
	// Exit is what the helper exits with. Default: ExitHelper.
	Exit int `json:"exit,omitempty"`
}

// Bye is the answer to an Exit.
type Bye struct{}

// Conn is one end of the conversation. One goroutine may receive while others
// send.
type Conn struct {
	mu sync.Mutex
	w  io.Writer
	r  *bufio.Scanner
}

// NewConn speaks over a stream, which stays the caller's to close.
func NewConn(rw io.ReadWriter) *Conn {
	r := bufio.NewScanner(rw)
	r.Buffer(nil, maxMessage)
	return &Conn{w: rw, r: r}
}

// Send writes a message.
func (c *Conn) Send(m Message) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.w.Write(append(raw, '\n'))
	return err
}

// Receive reads the next message. At the end of the stream it returns io.EOF.
func (c *Conn) Receive() (Message, error) {
	if !c.r.Scan() {
		if err := c.r.Err(); err != nil {
			return Message{}, err
		}
		return Message{}, io.EOF
	}
	var m Message
	if err := json.Unmarshal(c.r.Bytes(), &m); err != nil {
		return Message{}, fmt.Errorf("decoding a message: %w", err)
	}
	if m.Hello != nil && m.Hello.Version != Version {
		return Message{}, fmt.Errorf("the helper speaks version %d, this is %d", m.Hello.Version, Version)
	}
	if m == (Message{}) {
		return Message{}, errors.New("decoding a message: it says nothing that is known")
	}
	return m, nil
}
