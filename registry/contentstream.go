package registry

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	streamBuffer = 256 << 10 // more than a Unix socket holds at a time
	readMethod   = "/containerd.services.content.v1.Content/Read"
	maxMessage   = 16 << 20 // as BuildKit's client; the daemon sends 1 MiB
)

// contentStream is the answer to one Content.Read on a connection of its own.
type contentStream struct {
	ctx     context.Context // for telling cancellation from loss
	release func() bool     // of ctx, which closes the connection
	conn    net.Conn
	in      *bufio.Reader
	payload *h2Stream
	desc    v1.Descriptor
	chunk   int // bytes to come of the message's data
	got     int64
	err     error
}

func newContentStream(ctx context.Context, conn net.Conn, desc v1.Descriptor) *contentStream {
	in := bufio.NewReaderSize(lossReader{conn}, streamBuffer)
	return &contentStream{
		ctx: ctx, release: context.AfterFunc(ctx, func() { conn.Close() }),
		conn: conn, in: in, payload: newH2Stream(in, conn), desc: desc,
	}
}

// begin asks for the blob and waits for the beginning of its data.
func (s *contentStream) begin(deadline time.Time) error {
	if err := s.conn.SetDeadline(deadline); err != nil {
		return err
	}
	request, err := proto.Marshal(&contentapi.ReadContentRequest{Digest: s.desc.Digest.String()})
	if err != nil {
		return err
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request)))
	if err := s.payload.request(readMethod, append(message, request...)); err != nil {
		return err
	}
	if err := s.fill(); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

// Read waits until p is full, as a file would, unless the blob ends before: the caller makes
// one write of it.
func (s *contentStream) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if err := s.fill(); err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		m, err := s.payload.Read(p[n:min(len(p), n+s.chunk)])
		n += m
		s.chunk -= m
		s.got += int64(m)
		if err != nil {
			s.err = s.ended(unexpected(err))
		}
	}
	return n, nil
}

// Close hangs up, which is how the daemon learns that no more is wanted.
func (s *contentStream) Close() error {
	s.release()
	return s.conn.Close()
}

// fill receives the heads of messages until one has data. Its error stays.
func (s *contentStream) fill() error {
	for s.err == nil && s.chunk == 0 {
		var err error
		if s.chunk, err = s.message(); err != nil {
			s.err = s.ended(err)
		}
	}
	return s.err
}

// message reads a message up to its data, and returns how much there is of it.
func (s *contentStream) message() (int, error) {
	var head [5]byte
	if _, err := io.ReadFull(s.payload, head[:]); err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 || size > maxMessage {
		return 0, fmt.Errorf("message of %d bytes with compression %d", size, head[0])
	}
	n, err := dataLength(&messageHead{s.payload, int(size)})
	return n, unexpected(err)
}

// unexpected is for an end in the middle of a message.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ended says what the end of the stream means.
func (s *contentStream) ended(err error) error {
	if errors.Is(err, io.EOF) && s.got == s.desc.Size {
		return io.EOF
	}
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	} else if errors.Is(err, io.EOF) {
		err = fmt.Errorf("got %d of %d bytes: %w", s.got, s.desc.Size, io.ErrUnexpectedEOF)
	} else if _, ok := status.FromError(err); ok {
		err = nativeError(s.ctx, err)
	}
	return fmt.Errorf("reading blob %s: %w", s.desc.Digest, err)
}

// lossReader makes of a connection that breaks off what nativeError makes of one
// of gRPC's.
type lossReader struct{ io.Reader }

func (r lossReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		err = fmt.Errorf("%w: connection to the daemon: %s", io.ErrUnexpectedEOF, err.Error()) // io.EOF would be a good end
	}
	return n, err
}

// messageHead is what is to come of a message whose data was not yet reached.
type messageHead struct {
	r    io.Reader
	left int
}

func (h *messageHead) Remaining() int { return h.left }

func (h *messageHead) ReadByte() (byte, error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	var b [1]byte
	_, err := io.ReadFull(h.r, b[:])
	h.left--
	return b[0], err
}
