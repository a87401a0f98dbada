package limit

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// LimitMemory makes the garbage collector work to keep the process below a number
// of bytes (GOMEMLIMIT), unless the environment says otherwise.
func LimitMemory(bytes int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(forGo(bytes))
	}
}

// forGo is the part of the memory that Go's own may fill. A quarter is kept for what
// the collector does not see: SQLite's pages, mapped files.
func forGo(bytes int64) int64 { return bytes - bytes/4 }

// DefaultMemory is how many bytes the process may use if nobody says: nine tenths of
// what its control group has, or half of the machine's memory, whichever is less.
func DefaultMemory() int64 { return defaultMemory("/") }

// LoggedInFor is how many people who have logged in a number of bytes is enough for: one
// who waits in IDLE under TLS takes 40 KB with his mailbox.
func LoggedInFor(memory int64) int { return int(min(max(memory>>16, 1000), 1_000_000)) }

func defaultMemory(root string) int64 {
	out := int64(math.MaxInt64)
	if n := machineMemory(root); n > 0 {
		out = n / 2
	}
	if n := groupMemory(root); n > 0 {
		out = min(out, n/10*9)
	}
	if out == math.MaxInt64 {
		return 1 << 30 // a system that does not tell
	}
	return out
}

// machineMemory is the memory of the machine in bytes, 0 if it is not known.
func machineMemory(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("MemTotal:"))
		if ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 54)
			return n << 10
		}
	}
	return 0
}

// groupMemory is the least limit of the control groups above the process, 0 if
// there is none.
func groupMemory(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range bytes.Lines(text) {
		// "0::/path" (version 2) or "7:memory:/path" (version 1)
		part := bytes.SplitN(bytes.TrimSpace(line), []byte(":"), 3)
		if len(part) != 3 {
			continue
		}
		switch dir := string(part[2]); {
		case len(part[1]) == 0:
			least = lesser(least, groupLimit(filepath.Join(root, "sys/fs/cgroup"), dir, "memory.max"))
		case string(part[1]) == "memory":
			least = lesser(least, groupLimit(filepath.Join(root, "sys/fs/cgroup/memory"), dir, "memory.limit_in_bytes"))
		}
	}
	return least
}

// groupLimit is the least limit from a group up to the root of all.
func groupLimit(mount, dir, file string) (least int64) {
	for {
		least = lesser(least, limitIn(filepath.Join(mount, dir, file)))
		if dir == "/" || dir == "." || dir == "" {
			return least
		}
		dir = filepath.Dir(dir)
	}
}

// limitIn reads a limit; 0: "max", a number that means none, or no file.
func limitIn(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n < 0 || n > 1<<50 {
		return 0
	}
	return n
}

// lesser is the lesser of two limits, of which 0 is none.
func lesser(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// memoryInUse is the memory in bytes that can't be given back: what was alive at the
// last collection, the stacks, and what the runtime itself needs. Garbage does not
// count: a heap that grows up to its limit before it is swept is no distress.
func memoryInUse() (sum int64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/os-stacks:bytes"},
		{Name: "/memory/classes/metadata/mcache/inuse:bytes"},
		{Name: "/memory/classes/metadata/mspan/inuse:bytes"},
		{Name: "/memory/classes/metadata/other:bytes"},
		{Name: "/memory/classes/other:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += int64(s.Value.Uint64())
		}
	}
	return sum
}
