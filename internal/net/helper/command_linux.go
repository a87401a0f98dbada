package helper

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"syscall"
)

// commandMain runs one program, and says what became of it. When the server is gone, or
// does not want it any more, the program ends, too.
func commandMain(conn packets, home string) int {
	b := make([]byte, maxPacket)
	n, body, err := receiveWith(conn, b)
	if err != nil || body == nil {
		return 64
	}
	defer body.Close()
	var j Job
	if err := json.Unmarshal(b[:n], &j); err != nil {
		return 64
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	if err := os.Chdir(home); err != nil {
		home = "/"
	}
	said, err := json.Marshal(j.work(ctx, home, body))
	if err != nil {
		return 70
	}
	if _, err := conn.Write(said); err != nil {
		return 71
	}
	return 0
}

// isClosed tells that a program has ended without reading everything.
func isClosed(err error) bool { return errors.Is(err, syscall.EPIPE) }
