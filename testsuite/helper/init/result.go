package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// resultSize is reserved before the command starts, which may fill the disk.
const resultSize = 4096

// report is the result and the file that it goes to.
type report struct {
	protocol.Result
	file *os.File // nil: none
}

// openReport makes the file, which says until the end that there was none.
func openReport(dir string) (*report, error) {
	r := &report{Result: protocol.Result{Version: protocol.Version, Started: now()}}
	if dir == "" {
		return r, nil
	}
	file, err := create(dir, protocol.ResultFile)
	if err != nil && !full(err) {
		return nil, err
	}
	if err == nil {
		r.file = file
		r.Error = "the helper was killed before the command ended"
		err = r.write()
		r.Error = ""
	}
	if err != nil && !full(err) {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// write fills the reserved space with spaces, which JSON allows at its end.
func (r *report) write() error {
	raw, err := json.Marshal(r.Result)
	if err != nil {
		return err
	}
	if pad := resultSize - len(raw); pad > 0 {
		raw = append(raw, bytes.Repeat([]byte(" "), pad)...)
	}
	raw[len(raw)-1] = '\n'
	_, err = r.file.WriteAt(raw, 0)
	return err
}

// close writes the result.
func (r *report) close() error {
	r.Ended = now()
	if r.file == nil {
		return nil
	}
	return errors.Join(r.write(), r.file.Close())
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }
