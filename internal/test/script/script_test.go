package script

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"facteur/internal/test/interop"
)

func TestMain(m *testing.M) { interop.Main(m) }

// The stories of test/script.
func TestStories(t *testing.T) {
	interop.Binary(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(interop.Root(), "test/script"),
		Setup:               Setup,
		Cmds:                Verbs(),
		Condition:           Condition,
		RequireExplicitExec: true,
	})
}
