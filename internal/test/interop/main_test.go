package interop

import "testing"

func TestMain(m *testing.M) { Main(m) }
