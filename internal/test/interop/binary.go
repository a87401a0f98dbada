package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// binary is facteur, built once for all tests of this process.
var binary struct {
	sync.Once
	dir, path string
	absent    string // why there is no server to test
}

// Main runs the tests of a package and removes what Binary built. To be
// called from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	for _, dir := range append(left, binary.dir) {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// Binary builds ./cmd/facteur and returns its path; FACTEUR_BIN names one that
// is built already. The test is skipped as long as there is no "facteur
// serve".
func Binary(t testing.TB) string {
	t.Helper()
	if problem := Absent(); problem != "" {
		Missing(t, "no facteur to test: %s", problem)
	}
	return binary.path
}

// Absent tells why there is no facteur to test, or "".
func Absent() string {
	binary.Do(func() {
		if binary.path = os.Getenv("FACTEUR_BIN"); binary.path == "" {
			binary.absent = build()
		}
		if binary.absent == "" {
			binary.absent = serves(binary.path)
		}
	})
	return binary.absent
}

func build() (problem string) {
	dir, err := os.MkdirTemp("", "facteur-bin")
	if err != nil {
		return err.Error()
	}
	binary.dir, binary.path = dir, filepath.Join(dir, "facteur")
	cmd := exec.Command("go", "build", "-o", binary.path, "./cmd/facteur")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("go build ./cmd/facteur: %v\n%s", err, tail(string(out), 10))
	}
	return ""
}

func serves(path string) (problem string) {
	out, err := exec.Command(path, "serve", "--help").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("facteur serve --help: %v\n%s", err, tail(string(out), 5))
	}
	return ""
}

// Root is the top directory of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return strings.TrimSuffix(filepath.Dir(file), "/internal/test/interop")
}
