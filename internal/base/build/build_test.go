package build

import (
	"runtime"
	"testing"
)

func TestThis(t *testing.T) {
	if b := This(); b.Version == "" || b.Go != runtime.Version() {
		t.Errorf("%+v", b)
	}
}
