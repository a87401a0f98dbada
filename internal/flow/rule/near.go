package rule

import (
	"fmt"

	"facteur/internal/base/conf"
)

// near is `; did you mean "x"?` when one of the words is close to s, else "".
func near(s string, words []string) string {
	if w := conf.Nearest(s, words); w != "" {
		return fmt.Sprintf("; did you mean %q?", w)
	}
	return ""
}
