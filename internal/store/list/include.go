package list

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// includeMax is the largest :include: file of aliases(5), in bytes.
const includeMax = 4 << 20

// ReadInclude reads an :include: file, and tells who owns it: its commands are his. Of a
// file of root's that is nobody, "".
func ReadInclude(path string) (text, owner string, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO has no writer
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", err
	}
	if !info.Mode().IsRegular() || info.Size() > includeMax {
		return "", "", fmt.Errorf("%s: expected a file of at most %d MB", path, includeMax>>20)
	}
	b, err := io.ReadAll(io.LimitReader(f, includeMax))
	if err != nil {
		return "", "", err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 {
		u, err := user.LookupId(strconv.FormatUint(uint64(s.Uid), 10))
		if err != nil {
			return "", "", fmt.Errorf("%s: whose it is can't be told: %w", path, err)
		}
		owner = u.Username
	}
	return string(b), owner, nil
}
