package limit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// diary writes changes down, as "what level".
type diary []string

func (d *diary) write(c Change) {
	*d = append(*d, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Source, c.Service, c.Level)))
}

func (d *diary) read(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*d, want) {
		t.Errorf("told %q, want %q", *d, want)
	}
	*d = nil
}

func TestAFloodLeavesRoomForOthers(t *testing.T) {
	var told diary
	b := NewBudget(Ceilings{Connections: 100, LoggedIn: 100, Memory: 1 << 30}, told.write)
	smtp, imap := b.Room("smtp"), b.Room("imap")
	n := 0
	for ; smtp.Enter(false) == nil; n++ {
	}
	if n != 67 { // three quarters of what the reserve leaves
		t.Errorf("one service has %d connections", n)
	}
	if err := smtp.Enter(false); !errors.Is(err, ErrService) {
		t.Errorf("the next: %v", err)
	}
	if smtp.Level() != Full || imap.Level() != Stress {
		t.Errorf("levels: %v, %v", smtp.Level(), imap.Level())
	}
	for range 23 {
		if err := imap.Enter(false); err != nil {
			t.Fatal("another service has no room:", err)
		}
	}
	if err := imap.Enter(false); !errors.Is(err, ErrConnections) {
		t.Errorf("beyond what is open: %v", err)
	}
	for range 10 {
		if err := smtp.Enter(true); err != nil {
			t.Error("the reserve:", err)
		}
	}
	if err := smtp.Enter(true); !errors.Is(err, ErrConnections) {
		t.Errorf("beyond the reserve: %v", err)
	}
	told.read(t, "connections smtp stress", "connections smtp full", "connections  stress", "connections  full")
	for range 77 {
		smtp.Leave()
	}
	for range 23 {
		imap.Leave()
	}
	told.read(t, "connections smtp calm", "connections  calm")
	if b.Inside() != 0 || smtp.Level() != Calm {
		t.Errorf("%d inside, %v", b.Inside(), smtp.Level())
	}
}

func TestSmallBudgets(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		b := NewBudget(Ceilings{Connections: n, LoggedIn: n, Memory: 1}, nil)
		b.Room("other")
		if err := b.Room("one").Enter(false); err != nil {
			t.Errorf("with %d connections nobody gets in: %v", n, err)
		}
	}
}

func TestPeopleAndStrangersLeaveEachOtherRoom(t *testing.T) {
	var told diary
	b := NewBudget(Ceilings{Connections: 100, LoggedIn: 1000, Memory: 1 << 30}, told.write)
	smtp, imap := b.Room("smtp"), b.Room("imap")
	n := 0
	for ; imap.Enter(false) == nil; n++ {
		if err := imap.LogIn(); err != nil {
			if !errors.Is(err, ErrService) {
				t.Error(err)
			}
			break
		}
	}
	if n != 750 { // three quarters
		t.Errorf("ABU-005: %d people at one service", n)
	}
	imap.Leave()
	if smtp.Level() != Calm || imap.Level() != Calm {
		t.Errorf("ABU-005: people make the door narrow for strangers: %v, %v", smtp.Level(), imap.Level())
	}
	for smtp.Enter(false) == nil { // a flood
	}
	for range 10 {
		if err := imap.Enter(false); err != nil {
			t.Fatalf("ABU-005: %v", err)
		}
		imap.LogOut() // one goes,
		if err := imap.LogIn(); err != nil {
			t.Fatalf("ABU-005: and another doesn't find his place: %v", err)
		}
	}
	for range 67 { // all of the flood, if it could
		smtp.LogIn() //nolint:errcheck // as above
	}
	told.read(t, "logged in  stress", "connections smtp stress", "connections smtp full", "connections  stress", "connections  calm", "connections smtp calm")
	if b.Inside() != 750+67 {
		t.Errorf("%d inside", b.Inside())
	}
}

func TestLevelsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := NewBudget(Ceilings{Connections: 10, LoggedIn: 10, Memory: 1334}, told.write)
		r := b.Room("smtp")
		for _, bytes := range []int64{100, 700, 890, 900, 850, 950, 700, 900, 600, 600} {
			b.look(bytes)
		}
		told.read(t, "memory  stress", "memory  full")
		if r.Level() != Stress {
			t.Errorf("at 600: %v", r.Level())
		}
		b.look(1000)
		if err := r.Enter(false); !errors.Is(err, ErrMemory) {
			t.Errorf("FLT-012: %v", err)
		}
		if err := r.Enter(true); err != nil {
			t.Errorf("an admin in distress: %v", err)
		}
		b.look(100)
		if err := r.Enter(false); err != nil || r.Level() != Calm {
			t.Errorf("after it: %v, %v", err, r.Level())
		}
		told.read(t, "memory  calm")
		b.Starve()
		if err := r.Enter(false); !errors.Is(err, ErrFiles) || r.Level() != Full {
			t.Errorf("ABU-006: %v, %v", err, r.Level())
		}
		time.Sleep(starvation)
		if err := r.Enter(false); err != nil {
			t.Errorf("ABU-006: no recovery: %v", err)
		}
		told.read(t, "files  full", "files  calm")
	})
}

func TestConfigureWhileOccupied(t *testing.T) {
	b := NewBudget(Ceilings{Connections: 10, LoggedIn: 10, Memory: 1}, nil)
	r := b.Room("smtp")
	for range 5 {
		r.Enter(false)
	}
	b.Configure(Ceilings{Connections: 3, LoggedIn: 3, Memory: 1})
	if err := r.Enter(false); err == nil || r.Level() != Full {
		t.Errorf("%v, %v", err, r.Level())
	}
	b.Configure(Ceilings{Connections: 20, LoggedIn: 20, Memory: 1})
	if err := r.Enter(false); err != nil || r.Level() != Calm {
		t.Errorf("%v, %v", err, r.Level())
	}
}

func TestDefaultMemory(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"a machine":       {map[string]string{"proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n", "proc/self/cgroup": "0::/\n"}, 1 << 20},
		"a group":         {map[string]string{"proc/meminfo": "MemTotal: 1000000 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}, 900000},
		"a group, v1":     {map[string]string{"proc/meminfo": "MemTotal: 1000000 kB\n", "proc/self/cgroup": "3:cpu:/\n4:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1800000},
		"a roomy group":   {map[string]string{"proc/meminfo": "MemTotal: 4 kB\n", "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}, 2048},
		"nothing is told": {nil, 1 << 30},
	} {
		root := t.TempDir()
		for path, text := range test.files {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := defaultMemory(root); got != test.want {
			t.Errorf("FLT-012 %s: %d, want %d", name, got, test.want)
		}
	}
	if got := DefaultMemory(); got < 1<<20 {
		t.Errorf("here: %d", got)
	}
}

func TestMemoryInUseSeesWhatIsKept(t *testing.T) {
	before := memoryInUse()
	kept := make([]byte, 64<<20)
	heap() // collects
	after := memoryInUse()
	if after-before < 60<<20 {
		t.Errorf("64 MB more are %d bytes more", after-before)
	}
	kept[0] = 1
}

func TestConnectionsFor(t *testing.T) {
	for _, test := range [][5]int{{1000, 8000, 20000, 1000, 8000}, {1000, 8000, 4096, 1000, 2024}, {1000, 8000, 1024, 240, 480},
		{10000, 10, 1024, 710, 10}, {1000, 1000, 256, 48, 96}, {10, 10, 10, 1, 1}} {
		strangers, people := ConnectionsFor(test[0], test[1], test[2])
		if strangers != test[3] || people != test[4] {
			t.Errorf("ABU-006: %d and %d of %d files: %d and %d, want %d and %d", test[0], test[1], test[2], strangers, people, test[3], test[4])
		}
	}
	if n, err := RaiseFiles(); err != nil || n < 64 {
		t.Errorf("ABU-006: %d, %v", n, err)
	}
}

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "")
	LimitMemory(256 << 20)
	if got := debug.SetMemoryLimit(-1); got != 192<<20 {
		t.Errorf("FLT-012: the collector has %d MB", got>>20)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	LimitMemory(128 << 20)
	if got := debug.SetMemoryLimit(-1); got != 192<<20 {
		t.Errorf("FLT-012: the admin's own limit is overruled: %d MB", got>>20)
	}
}
