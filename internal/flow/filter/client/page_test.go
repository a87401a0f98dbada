package client

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// row is a remark as the page has it.
func (s Symbol) row() string {
	who := ""
	if s.Amateur {
		who = "amateur"
	}
	return fmt.Sprintf("| `%s` | %g | %s | %s |\n", s.Name, s.Score, who, s.About)
}

// TestPage: docs/FILTER.md has every remark of this package, with its score.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/FILTER.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, s := range Symbols() {
		table.WriteString(s.row())
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/FILTER.md does not have this table:\n%s", table.String())
	}
}
