package takeover

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// row 224: the tables of an opendkim: keys by name, and whose letters each signs.
func TestReadOpenDKIM(t *testing.T) {
	dir := t.TempDir()
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(private)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := write("mail.private", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	table := write("KeyTable", "# keys\none example.org:mail:"+key+"\ntwo example.net:mail:/nowhere\nthree %:mail:"+key+"\nfour nonsense\nfive example.org:old:"+key+"\nsix example.org:news:"+key+"\n")
	write("SigningTable", "*@example.org one\n*@customer.example one\n*@lost.example seven\nnews@example.org six\n")
	tables := write("opendkim.conf", "Mode sv\nKeyTable refile:KeyTable\nSigningTable\trefile:SigningTable # patterns\n")
	single := write("single.conf", "Domain example.org, example.com\nSelector mail\nKeyFile "+key+"\n")
	for path, want := range map[string]string{
		tables: "one example.org own *@customer.example|two example.net bad |three % bad |four  bad |five example.org bad |six example.org ok news@example.org",
		table:  "one example.org own |two example.net bad |three % bad |four  bad |five example.org own |six example.org own ",
		single: " example.org own | example.com own ",
	} {
		keys, remarks, err := ReadOpenDKIM(path)
		var got []string
		for _, k := range keys {
			how := "ok"
			if k.Own {
				how = "own"
			}
			if k.Err != nil {
				how = "bad"
			}
			got = append(got, k.Name+" "+k.Domain+" "+how+" "+strings.Join(k.For, ","))
		}
		if err != nil || strings.Join(got, "|") != want || (path == tables) != (len(remarks) == 1) {
			t.Errorf("%s: %q %q %v", path, got, remarks, err)
		}
	}
	if _, _, err := ReadOpenDKIM(write("empty", "Mode v\n")); err == nil {
		t.Error("no keys, and no word of it")
	}
}
