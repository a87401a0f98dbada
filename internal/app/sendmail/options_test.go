package sendmail

import (
	"reflect"
	"strings"
	"testing"

	"facteur/internal/mail/smtp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Options{
		"":                             {},
		"a@b c@d":                      {Recipients: []string{"a@b", "c@d"}},
		"-t":                           {FromHeader: true},
		"-ti":                          {FromHeader: true, NoDot: true},
		"-t -oi":                       {FromHeader: true, NoDot: true},
		"-oi -oem -odb -oee -om a":     {NoDot: true, Recipients: []string{"a"}},
		"-o i a":                       {NoDot: true, Recipients: []string{"a"}},
		"-oiX a":                       {Recipients: []string{"a"}},
		"-f x@y a":                     {Sender: "x@y", SenderGiven: true, Recipients: []string{"a"}},
		"-fx@y a":                      {Sender: "x@y", SenderGiven: true, Recipients: []string{"a"}},
		"-tfx@y":                       {FromHeader: true, Sender: "x@y", SenderGiven: true},
		"-r <> a":                      {Sender: "<>", SenderGiven: true, Recipients: []string{"a"}},
		"-F Alice -t":                  {FullName: "Alice", FromHeader: true},
		"-FAlice -t":                   {FullName: "Alice", FromHeader: true},
		"-N never a":                   {Notify: smtp.NotifyNever, Recipients: []string{"a"}},
		"-N success,DELAY a":           {Notify: smtp.NotifySuccess | smtp.NotifyDelay, Recipients: []string{"a"}},
		"-R hdrs -V id1 a":             {Ret: smtp.RetHeaders, EnvelopeID: "id1", Recipients: []string{"a"}},
		"-Rfull a":                     {Ret: smtp.RetFull, Recipients: []string{"a"}},
		"-B8BITMIME a":                 {EightBit: true, Recipients: []string{"a"}},
		"-B 7bit a":                    {Recipients: []string{"a"}},
		"-bm a":                        {Recipients: []string{"a"}},
		"-bs":                          {Mode: Speak},
		"-bp":                          {Mode: ListQueue},
		"-bi":                          {Mode: Aliases},
		"-bv a b":                      {Mode: Verify, Recipients: []string{"a", "b"}},
		"-I":                           {Mode: Aliases},
		"-q":                           {Mode: FlushQueue},
		"-qI64F1A2B3C4D5E":             {Mode: FlushQueue, QueueID: "64F1A2B3C4D5E"},
		"-qRexample.org":               {Mode: FlushQueue, QueueSite: "example.org"},
		"-v -n -m -G -U a":             {Verbose: true, Recipients: []string{"a"}},
		"-O DeliveryMode=b -Ac -h 3 a": {Recipients: []string{"a"}},
		"-p ESMTP -L tag -d0 a":        {Recipients: []string{"a"}},
		"-i -- -a@b c":                 {NoDot: true, Recipients: []string{"-a@b", "c"}},
	} {
		got, err := Parse(strings.Fields(line))
		if len(got.Recipients) == 0 {
			got.Recipients = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

// What is not understood is refused: a letter that goes elsewhere than its author
// meant is worse than one that does not go.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"- a":                            "options come first",
		"a -t":                           "options come first",
		"a -X/etc/passwd":                "options come first",
		"-f":                             "-f needs a value",
		"-tf":                            "-f needs a value",
		"-Z":                             "-Z is no option",
		"-tZ":                            "-Z is no option",
		"-C /etc/mail/submit.cf a":       "-C is not taken",
		"-X/tmp/log a":                   "-X is not taken",
		"-bd":                            "starts no server",
		"-bD":                            "starts no server",
		"-bd -q15m":                      "starts no server",
		"-q15m":                          "the server retries by itself",
		"-bt":                            "-bt is not known",
		"-N sometimes a":                 "-N takes never",
		"-N never,success a":             "never stands alone",
		"-R some a":                      "-R takes full or hdrs",
		"-B BINARYMIME a":                "-B takes 7BIT or 8BITMIME",
		"-V " + strings.Repeat("x", 101): "at most 100",
	} {
		_, err := Parse(strings.Fields(line))
		if err == nil || StatusOf(err) != Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", line, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"-t", "-oi -f x@y a", "-bs", "-N never -R hdrs a", "-- -x", "-f", "-"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		o, err := Parse(args)
		if err != nil && StatusOf(err) != Usage {
			t.Errorf("%q: %v", args, err)
		}
		if err == nil && len(o.Recipients) > len(args) {
			t.Errorf("%q: %+v", args, o)
		}
	})
}
