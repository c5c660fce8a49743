package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// A peer that does nothing wrong may still do much that gRPC's server does not.
func TestContentStreamOfAnyShape(t *testing.T) {
	peer := startPeer(t, func(p *peer) {
		_ = p.WritePing(false, [8]byte{'a', 'r', 'e', ' ', 'y', 'o', 'u', '?'})
		head := block(":status", "200", "content-type", "application/grpc")
		_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head[:5]})
		_ = p.WriteContinuation(1, true, head[5:])
		_ = p.WriteRawFrame(http2.FrameType(0xbe), 0, 0, []byte("of an extension"))
		_ = p.WriteGoAway(1, http2.ErrCodeNo, nil) // no more streams; this one goes on
		b := slices.Concat(message(p.blob[:1]), message(nil), raw(0, nil), message(p.blob[1:1<<20]), message(p.blob[1<<20:]))
		for size := 1; len(b) > 0; size = min(3*size, 16<<10-300) {
			size = min(size, len(b))
			_ = p.WriteDataPadded(1, false, b[:size], make([]byte, size%256))
			_ = p.WriteData(1, false, nil)
			b = b[size:]
		}
		p.headers(true, "grpc-status", "0")
		<-p.gone
	})
	r := must(registry.DialContent(peer.dial, noStore{t}).Open(t.Context(), peer.desc))(t)
	got, n, err := v1.SHA256(r)
	if got != peer.desc.Digest || err != nil {
		t.Errorf("reading blob: %d bytes of %s, %v, want %d of %s", n, got, err, peer.desc.Size, peer.desc.Digest)
	}
	if got, want := <-peer.got, "PING true are you?"; got != want {
		t.Errorf("client sent %s, want %s", got, want)
	}
	r.Close()
}

// Without it, a blob of more than 2 GiB would come to a halt.
func TestContentStreamOpensItsWindows(t *testing.T) {
	const messages = 6
	peer := startPeer(t, func(p *peer) {
		p.begin()
		for range messages {
			p.data(message(p.blob))
		}
		want := []string{"WINDOW_UPDATE of 0", "WINDOW_UPDATE of 1"}
		for i := range want {
			if got := <-p.got; got != want[i] {
				return
			}
		}
		p.headers(true, "grpc-status", "0")
		<-p.gone
	})
	desc := peer.desc
	desc.Size = messages*desc.Size + 100
	r := must(registry.DialContent(peer.dial, noStore{t}).Open(t.Context(), desc))(t)
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != desc.Size || err != nil {
		t.Errorf("reading = %d bytes, %v, want %d", n, err, desc.Size)
	}
}

// Whatever a peer does wrong, the first bytes are awaited from the next store, and
// after them it is an error.
func TestContentStreamOfABrokenPeer(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*peer)
		lost bool // another attempt may work
		want string
	}{
		"hangs up":              {func(*peer) {}, true, "connection to the daemon"},
		"resets the stream":     {func(p *peer) { _ = p.WriteRSTStream(1, http2.ErrCodeInternal) }, true, "reset"},
		"goes away":             {func(p *peer) { _ = p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) }, true, "ENHANCE_YOUR_CALM"},
		"ends too early":        {func(p *peer) { p.headers(true, ":status", "200", "grpc-status", "0") }, true, "100 of 3145728 bytes"},
		"ends in a message":     {func(p *peer) { p.data(message(p.blob)[:5000]); p.headers(true, "grpc-status", "0") }, true, ""},
		"ends in a head":        {func(p *peer) { p.data(message(p.blob)[:3]); p.headers(true, "grpc-status", "0") }, true, ""},
		"is unavailable":        {func(p *peer) { p.headers(true, ":status", "200", "grpc-status", "14", "grpc-message", "50%25 off") }, true, "50% off"},
		"fails":                 {func(p *peer) { p.headers(true, ":status", "200", "grpc-status", "13", "grpc-message", "odd%") }, false, "odd%"},
		"gives no status":       {func(p *peer) { p.headers(true, ":status", "200") }, false, "without a status"},
		"just ends":             {func(p *peer) { _ = p.WriteData(1, true, nil) }, false, ""},
		"compresses":            {func(p *peer) { p.data(raw(1, []byte("zip"))) }, false, "compression 1"},
		"boasts":                {func(p *peer) { p.data([]byte{0, 0xff, 0xff, 0xff, 0xff}) }, false, "4294967295 bytes"},
		"boasts in a message":   {func(p *peer) { p.data(raw(0, []byte{2<<3 | 2, 0xff, 0xff, 0x7f})) }, false, "2097151 of 0 bytes"},
		"sends another field":   {func(p *peer) { p.data(raw(0, []byte{7<<3 | 2, 0})) }, false, "field 7"},
		"writes huge frames":    {func(p *peer) { _ = p.WriteData(1, false, make([]byte, 16<<10+1)) }, false, "too large"},
		"pads more than it has": {func(p *peer) { _ = p.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 0}) }, false, "padding"},
		"has another stream":    {func(p *peer) { _ = p.WriteData(3, false, []byte("x")) }, false, "unexpected"},
		"pushes": {func(p *peer) {
			_ = p.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: block(":method", "GET"), EndHeaders: true})
		}, false, "unexpected"},
		"speaks no HTTP/2": {func(p *peer) { _, _ = p.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			first := startPeer(t, func(p *peer) { tc.do(p); p.end() })
			r, err := registry.DialContent(first.dial, nextStore{}).Open(t.Context(), first.desc)
			if err != nil {
				t.Fatalf("Open() = %v, want the next store's blob", err)
			}
			if b, err := io.ReadAll(r); string(b) != "daemon" || err != nil {
				t.Errorf("reading = %d bytes, %v, want the next store's", len(b), err)
			}
			later := startPeer(t, func(p *peer) { p.begin(); tc.do(p); p.end() })
			r = must(registry.DialContent(later.dial, noStore{t}).Open(t.Context(), later.desc))(t)
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if err == nil || n < 100 || errors.Is(err, io.ErrUnexpectedEOF) != tc.lost || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("reading = %d bytes, %v, want an error with %q, io.ErrUnexpectedEOF: %t", n, err, tc.want, tc.lost)
			}
		})
	}
}

// peer answers one call by hand, as no gRPC server would.
type peer struct {
	*http2.Framer
	conn net.Conn
	blob []byte
	desc v1.Descriptor
	dial func(context.Context) (net.Conn, error)
	gone chan struct{} // closed when the client has hung up
	got  chan string   // what else it has sent
}

// startPeer serves one connection: it reads the call, greets, and runs the script.
func startPeer(t *testing.T, script func(*peer)) *peer {
	t.Helper()
	lis, err := net.Listen("unix", filepath.Join(testenv.StateDir(t), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	blob := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(blob)
	digest, size, _ := v1.SHA256(bytes.NewReader(blob))
	p := &peer{
		blob: blob, desc: v1.Descriptor{Digest: digest, Size: size},
		gone: make(chan struct{}), got: make(chan string, 100),
		dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", lis.Addr().String())
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		p.serve(conn, script)
	}()
	t.Cleanup(func() { lis.Close(); <-done })
	return p
}

func (p *peer) serve(conn net.Conn, script func(*peer)) {
	in := bufio.NewReader(conn)
	if _, err := in.Discard(len(http2.ClientPreface)); err != nil {
		return
	}
	p.conn, p.Framer = conn, http2.NewFramer(conn, in)
	p.AllowIllegalWrites = true
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return
		}
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			break
		}
	}
	go p.listen()
	if p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}) == nil {
		script(p)
	}
}

// listen notes what the client sends until it hangs up.
func (p *peer) listen() {
	defer close(p.gone)
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			p.got <- fmt.Sprintf("PING %t %s", f.IsAck(), f.Data)
		case *http2.WindowUpdateFrame:
			p.got <- fmt.Sprintf("WINDOW_UPDATE of %d", f.StreamID)
		}
	}
}

// begin sends a message of a hundred bytes.
func (p *peer) begin() {
	p.headers(false, ":status", "200", "content-type", "application/grpc")
	p.data(message(p.blob[:100]))
}

// end lets the client read what was sent before the connection ends.
func (p *peer) end() {
	if c, ok := p.conn.(*net.UnixConn); ok {
		_ = c.CloseWrite()
	}
	<-p.gone
}

func (p *peer) headers(end bool, fields ...string) {
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(fields...), EndHeaders: true, EndStream: end})
}

func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for pair := range slices.Chunk(fields, 2) {
		_ = e.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return b.Bytes()
}

// data sends bytes in frames of the usual size.
func (p *peer) data(b []byte) {
	for part := range slices.Chunk(b, 16<<10) {
		_ = p.WriteData(1, false, part)
	}
}

// message is a ReadContentResponse with its offset and length before it.
func message(data []byte) []byte {
	body := append([]byte{1 << 3, 0x80, 0x01, 2<<3 | 2}, binary.AppendUvarint(nil, uint64(len(data)))...)
	return raw(0, append(body, data...))
}

func raw(flag byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(body))), body...)
}
