package registry

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	h2StreamID  = 1
	h2Window    = 1<<31 - 1 // the largest there is
	h2Renew     = 16 << 20  // how much of the window is used up before it is opened again
	h2MaxFrame  = 16 << 10  // what a peer may send that was not told otherwise
	h2MaxHeader = 1 << 20
)

var errNoStatus = errors.New("the daemon ended the stream without a status")

// h2Stream is the client's side of an HTTP/2 connection with one stream on it, a
// gRPC call that streams its answer. Reading gives the answer's messages; it ends
// with io.EOF, or with a gRPC status that is not OK.
//
// With nothing else on the connection, its flow control has nothing to do: the
// windows are as large as can be, and a reader that is slow holds the peer back by
// the socket.
type h2Stream struct {
	conn    net.Conn
	in      *bufio.Reader // of conn; gives io.ErrUnexpectedEOF where that ends
	framer  *http2.Framer
	begun   bool // the answer's headers were there
	left    int  // bytes to come of a DATA frame
	padding int  // and behind them
	last    bool // the frame ends the stream
	used    int  // of the window
}

func newH2Stream(in *bufio.Reader, conn net.Conn) *h2Stream {
	framer := http2.NewFramer(conn, in)
	framer.SetMaxReadFrameSize(h2MaxFrame)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = h2MaxHeader
	return &h2Stream{conn: conn, in: in, framer: framer}
}

// request sends the whole of the call in one write.
func (s *h2Stream) request(method string, message []byte) error {
	scheme := "http"
	if _, ok := s.conn.(*tls.Conn); ok {
		scheme = "https"
	}
	var block, out bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", scheme}, {":path", method}, {":authority", "localhost"},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"user-agent", userAgent},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // into memory
	}
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	err := errors.Join(
		framer.WriteSettings(
			http2.Setting{ID: http2.SettingEnablePush, Val: 0},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: h2Window}),
		framer.WriteWindowUpdate(0, h2Window-65535), // settings do not reach the connection's
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: h2StreamID, BlockFragment: block.Bytes(), EndHeaders: true}),
		framer.WriteData(h2StreamID, true, message),
	)
	if err != nil {
		return err
	}
	_, err = s.conn.Write(out.Bytes())
	return err
}

// Read gives bytes of one frame.
func (s *h2Stream) Read(p []byte) (int, error) {
	for s.left == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n, err := s.in.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// next deals with one more frame. It is io.EOF at the end of the answer.
func (s *h2Stream) next() error {
	if _, err := s.in.Discard(s.padding); err != nil {
		return err
	}
	s.padding = 0
	if s.last {
		return errNoStatus
	}
	head, err := s.framer.ReadFrameHeader()
	if err != nil {
		return err
	}
	if head.StreamID != 0 && head.StreamID != h2StreamID {
		return fmt.Errorf("unexpected %s", head)
	}
	if head.Type == http2.FrameData {
		return s.data(head)
	}
	frame, err := s.framer.ReadFrameForHeader(head)
	if err != nil {
		return err
	}
	return s.control(frame)
}

// data begins a DATA frame. Its payload is not for the Framer, which would copy it
// to a buffer of its own.
func (s *h2Stream) data(head http2.FrameHeader) error {
	if head.StreamID == 0 || !s.begun {
		return fmt.Errorf("unexpected %s", head)
	}
	s.left = int(head.Length)
	s.last = head.Flags.Has(http2.FlagDataEndStream)
	if head.Flags.Has(http2.FlagDataPadded) {
		padding, err := s.in.ReadByte()
		if err != nil {
			return err
		}
		if s.padding = int(padding); s.left < 1+s.padding {
			return fmt.Errorf("%d bytes of padding in %s", padding, head)
		}
		s.left -= 1 + s.padding
	}
	if s.used += int(head.Length); s.used < h2Renew {
		return nil
	}
	err := errors.Join(
		s.framer.WriteWindowUpdate(0, uint32(s.used)),
		s.framer.WriteWindowUpdate(h2StreamID, uint32(s.used)))
	s.used = 0
	return err
}

// control does what any other frame asks for.
func (s *h2Stream) control(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return s.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return s.framer.WritePing(true, f.Data)
		}
	case *http2.MetaHeadersFrame:
		return s.headers(f)
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the daemon reset the stream: %s: %w", f.ErrCode, io.ErrUnexpectedEOF)
	case *http2.GoAwayFrame:
		if f.LastStreamID < h2StreamID { // otherwise the stream goes on
			return fmt.Errorf("the daemon goes away: %s: %w", f.ErrCode, io.ErrUnexpectedEOF)
		}
	case *http2.PushPromiseFrame:
		return fmt.Errorf("unexpected %s", f.FrameHeader)
	}
	return nil
}

// headers begin the answer, or end it with a status.
func (s *h2Stream) headers(f *http2.MetaHeadersFrame) error {
	values := map[string]string{}
	for _, field := range f.Fields {
		values[field.Name] = field.Value
	}
	if got := values[":status"]; !s.begun && got != "200" {
		return fmt.Errorf("the daemon answers with HTTP status %q", got)
	}
	s.begun = true
	if !f.StreamEnded() {
		return nil
	}
	code, err := strconv.ParseUint(values["grpc-status"], 10, 32)
	if err != nil {
		return errNoStatus
	}
	if codes.Code(code) == codes.OK {
		return io.EOF
	}
	text := values["grpc-message"]
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return status.Error(codes.Code(code), text)
}
