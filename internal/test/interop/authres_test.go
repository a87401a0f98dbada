package interop

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/authres"
)

// pythonAuthres reads fields, one a line as a JSON string, and writes what it
// understood of each.
const pythonAuthres = `
import authres, json, sys
for line in sys.stdin:
	h = authres.AuthenticationResultsHeader.parse(json.loads(line))
	print(json.dumps({"id": h.authserv_id, "methods": [{"name": r.method, "result": r.result, "reason": r.reason or "",
		"properties": [{"type": p.type, "name": p.name, "value": p.value} for p in r.properties]} for r in h.results]}))
`

// Row 171: what we write, python3-authres reads as we do, and what it reads of others
// we read the same. It has no comments when it reads.
func TestAuthenticationResultsOfPython(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import authres").Run(); err != nil {
		Missing(t, "python3-authres is not installed")
	}
	fields := []string{
		"example.org 1; none", "example.com; spf=pass smtp.mailfrom=example.net",
		"example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
		"antispam.example.com; dmarc=pass (p=none dis=none) header.from=example.com",
		`example.com; dkim=pass reason="good signature" header.i=@mail-router.example.net; dkim=fail reason="bad signature" header.i=@newyork.example.com`,
		`mx.example.org; dkim=pass (2048-bit key; unprotected) header.d=example.com header.i=@example.com header.b="a/b+c=d"`,
	}
	for _, r := range []authres.Results{
		{ID: "mx.example.org", Methods: []authres.Method{
			{Name: "spf", Result: "pass", Properties: []authres.Property{{Type: "smtp", Name: "mailfrom", Value: "a@example.com"}, {Type: "smtp", Name: "helo", Value: "mail.example.com"}}},
			{Name: "dkim", Result: "fail", Reason: "the body was changed; the header was not", Properties: []authres.Property{{Type: "header", Name: "d", Value: "example.com"}, {Type: "header", Name: "b", Value: "a/b="}}},
			{Name: "dmarc", Result: "fail", Comment: "p=reject dis=none", Properties: []authres.Property{{Type: "header", Name: "from", Value: "example.com"}}},
			{Name: "iprev", Result: "pass", Properties: []authres.Property{{Type: "policy", Name: "iprev", Value: "2001:db8::1"}}},
		}},
		{ID: "mx.example.org"},
	} {
		field := strings.ReplaceAll(string(r.Field()), "\r\n", "")
		fields = append(fields, strings.TrimPrefix(field, authres.FieldName+": "))
	}
	var in strings.Builder
	for _, f := range fields {
		line, err := json.Marshal(authres.FieldName + ": " + strings.ReplaceAll(f, "\t", " "))
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	theirs := json.NewDecoder(strings.NewReader(Run(t, in.String(), python, "-c", pythonAuthres)))
	for _, f := range fields {
		var want authres.Results
		if err := theirs.Decode(&want); err != nil {
			t.Fatal(err)
		}
		got, err := authres.Parse(f)
		same := slices.EqualFunc(got.Methods, want.Methods, func(a, b authres.Method) bool {
			return a.Name == b.Name && a.Result == b.Result && a.Reason == b.Reason && slices.Equal(a.Properties, b.Properties)
		})
		if err != nil || got.ID != want.ID || !same {
			t.Errorf("row 171 %s:\nwe   %+v, %v\nthey %+v", f, got, err, want)
		}
	}
}
