package siege

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"facteur/internal/test/interop"
)

// FLT-012: in a control group of 256 MB the floods make the server refuse, not die.
func TestSmallMemory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	group := memoryGroup(t, 256<<20)
	f := newFortress(t, interop.Setup{Config: open})
	f.StartWith("/bin/sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group)
	pid := f.pid()
	if inside, err := os.ReadFile(filepath.Join(group, "cgroup.procs")); err != nil || !strings.Contains(string(inside), strconv.Itoa(pid)) {
		t.Fatalf("%d is not in the group: %q, %v", pid, inside, err)
	}
	for _, flood := range Floods() {
		switch flood.ID {
		case "ABU-007", "ABU-012", "SMTP-025":
			seen, _, err := f.besiege(t, flood)
			t.Logf("%s %s: %v; %v", flood.ID, flood.Name, seen, Look(pid))
			if err != nil {
				t.Error(err)
			}
		}
	}
	if !f.Running() || f.pid() != pid {
		t.Fatal("the server was killed")
	}
	if err := f.control().Letter(t.Context(), "Subject: alive\r\n\r\nid small-memory\r\n"); err != nil {
		t.Error(err)
	}
}

// memoryGroup makes a control group that may use so many bytes.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	name := "facteur-test-" + strconv.Itoa(os.Getpid())
	for _, kind := range []struct{ dir, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // version 1
		{"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(kind.dir, name)
		if _, err := os.Stat(filepath.Join(kind.dir, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) }) // once the server is gone
		if os.WriteFile(filepath.Join(dir, kind.file), []byte(strconv.Itoa(limit)), 0o644) == nil {
			if text, _ := os.ReadFile(filepath.Join(dir, kind.file)); strings.TrimSpace(string(text)) == strconv.Itoa(limit) {
				return dir
			}
		}
	}
	t.Skip("no control group of memory can be made here")
	return ""
}
