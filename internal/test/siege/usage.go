package siege

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Usage is what a process holds.
type Usage struct {
	Resident int64 // bytes
	Files    int
	Threads  int
}

// Look reads the usage of a process from /proc (proc_pid_status(5)).
func Look(pid int) Usage {
	var u Usage
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			u.Resident = n << 10
		case "Threads:":
			u.Threads = int(n)
		}
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.Files = len(files)
	return u
}

// Peak watches a process ten times a second until the returned function is
// called, which tells the most it held of each.
func Peak(pid int) (stop func() Usage) {
	var peak Usage
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			u := Look(pid)
			peak = Usage{max(peak.Resident, u.Resident), max(peak.Files, u.Files), max(peak.Threads, u.Threads)}
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	return func() Usage {
		close(done)
		watching.Wait()
		return peak
	}
}

func (u Usage) String() string {
	return fmt.Sprintf("%d MB, %d files, %d threads", u.Resident>>20, u.Files, u.Threads)
}
