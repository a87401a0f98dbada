package fulltext

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

func TestProto(t *testing.T) {
	words := strings.Fields("about account after again agenda answer archive because budget building calendar change colleagues comment contract customer date delivery document draft evening example figures garden harbour holiday house invoice journey letter machine meeting quite week monday morning number offer office order paper parcel people place plan please price problem project question railway reason receipt")
	rng := rand.New(rand.NewPCG(1, 1))
	docs := make([]string, 2000)
	total := 0
	for i := range docs {
		var b strings.Builder
		for b.Len() < 5000 {
			if rng.IntN(5) == 0 {
				for range 8 { b.WriteByte(byte('A' + rng.IntN(26))) }
			} else {
			b.WriteString(strings.ToUpper(words[rng.IntN(len(words))]))
			}
			b.WriteByte(' ')
		}
		docs[i] = b.String()
		total += b.Len()
	}
	grams := func(s string) string {
		seen := map[string]bool{}
		var b strings.Builder
		for i := 0; i+3 <= len(s); i++ {
			g := s[i : i+3]
			if !seen[g] {
				seen[g] = true
				fmt.Fprintf(&b, "%x ", g)
			}
		}
		return b.String()
	}
	for _, c := range []struct{ name, create string; conv func(string) string }{
		{"trigram contentless none", "CREATE VIRTUAL TABLE f USING fts5(t, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1')", func(s string) string { return s }},
		{"hex set none", "CREATE VIRTUAL TABLE f USING fts5(t, content='', contentless_delete=1, detail=none, tokenize='ascii')", grams},
	} {
		p := t.TempDir() + "/x.db"
		db, err := sql.Open("sqlite", "file:"+p+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-4000)")
		if err != nil { t.Fatal(err) }
		if _, err := db.Exec(c.create); err != nil { t.Fatal(c.name, err) }
		start := time.Now()
		for i := 0; i < len(docs); i += 200 {
			tx, _ := db.Begin()
			for j := i; j < i+200; j++ {
				if _, err := tx.Exec("INSERT INTO f(rowid, t) VALUES (?, ?)", j+1, c.conv(docs[j])); err != nil { t.Fatal(err) }
			}
			if err := tx.Commit(); err != nil { t.Fatal(err) }
		}
		took := time.Since(start)
		db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		info, _ := os.Stat(p)
		t.Logf("%s: %.2f MB/s, ratio %.2f", c.name, float64(total)/1e6/took.Seconds(), float64(info.Size())/float64(total))
		db.Close()
	}
}
