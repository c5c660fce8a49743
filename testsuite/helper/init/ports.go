package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// look is the time between two looks at the list of sockets.
const look = 5 * time.Millisecond

// ports prints who listens, when all that are wanted do or time is up.
func ports(opt protocol.Ports) int {
	deadline := time.Now().Add(milliseconds(opt.TimeoutMS))
	for {
		list := listPorts(opt.Want)
		late := opt.TimeoutMS > 0 && time.Now().After(deadline)
		found := len(list.Missing) == 0 || opt.Any && len(list.Missing) < len(opt.Want)
		if found || late || list.Error != "" {
			_ = json.NewEncoder(os.Stdout).Encode(list) // nobody asks any more
			return 0
		}
		time.Sleep(look)
	}
}

func listPorts(want []int) protocol.PortList {
	list := protocol.PortList{Listening: []protocol.Listener{}}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return protocol.PortList{Error: err.Error()}
		}
		found, err := parseListeners(string(raw))
		if err != nil {
			return protocol.PortList{Error: fmt.Sprintf("reading %s: %v", table, err)}
		}
		list.Listening = append(list.Listening, found...)
	}
	for _, port := range want {
		if !slices.ContainsFunc(list.Listening, func(l protocol.Listener) bool { return l.Port == port }) {
			list.Missing = append(list.Missing, port)
		}
	}
	return list
}

// stateListen is TCP_LISTEN in the kernel's table.
const stateListen = "0A"

// parseListeners reads /proc/net/tcp or tcp6: after a line of titles, "SL:
// ADDRESS:PORT REMOTE:PORT STATE …" in hexadecimal.
func parseListeners(table string) ([]protocol.Listener, error) {
	var found []protocol.Listener
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		host, port, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			return nil, err
		}
		addr, err := parseAddress(host)
		if err != nil {
			return nil, err
		}
		found = append(found, protocol.Listener{Address: addr.Unmap().String(), Port: int(n)})
	}
	return found, nil
}

// parseAddress reads an address that the kernel prints as 32-bit numbers in the
// byte order of the machine.
func parseAddress(s string) (netip.Addr, error) {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return netip.Addr{}, err
	}
	for word := range slices.Chunk(raw, 4) {
		if len(word) == 4 {
			binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
		}
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.Addr{}, fmt.Errorf("address %q has %d bytes", s, len(raw))
	}
	return addr, nil
}
