package registry

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// contentCodec is the protobuf codec, except that the messages of a blob's stream
// stay in the buffers that they were received in. The generated code copies each
// of them twice, which is a third of what a push costs the client.
type contentCodec struct{ encoding.CodecV2 }

func newContentCodec() contentCodec {
	return contentCodec{encoding.GetCodecV2(proto.Name)}
}

func (c contentCodec) Unmarshal(data mem.BufferSlice, v any) error {
	chunk, ok := v.(*contentChunk)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	return chunk.parse(data)
}

// Fields of containerd.services.content.v1.ReadContentResponse.
const fieldData = 2

// contentChunk is the data of one ReadContentResponse, to be read once.
type contentChunk struct {
	buffers *mem.Reader // its own references, which it frees as it is read
	left    int
}

// parse stands at the data when it returns.
func (c *contentChunk) parse(data mem.BufferSlice) error {
	r := data.Reader()
	n, err := dataLength(r)
	if err != nil {
		return err
	}
	if n == 0 {
		return r.Close()
	}
	c.buffers, c.left = r, n
	return nil
}

// dataLength reads a message up to its data. The message has an offset, a number,
// before it and nothing behind.
func dataLength(r interface {
	io.ByteReader
	Remaining() int
}) (int, error) {
	for r.Remaining() > 0 {
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return 0, fmt.Errorf("parsing content: %w", err)
		}
		value, err := binary.ReadUvarint(r) // of a number, or the length of bytes
		if err != nil {
			return 0, fmt.Errorf("parsing content: %w", err)
		}
		switch num, typ := protowire.DecodeTag(tag); {
		case typ == protowire.VarintType:
		case typ == protowire.BytesType && num == fieldData && value == uint64(r.Remaining()):
			return int(value), nil
		default:
			return 0, fmt.Errorf("parsing content: unexpected field %d with %d of %d bytes", num, value, r.Remaining())
		}
	}
	return 0, nil
}

// Read is io.EOF at the end of the chunk, whose buffers are free then.
func (c *contentChunk) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.buffers.Read(p)
	c.left -= n
	return n, err
}
