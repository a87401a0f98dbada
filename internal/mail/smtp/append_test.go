package smtp

import (
	"math"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
)

func TestMailAppend(t *testing.T) {
	sender := address.Address{Local: "alice", Domain: "example.org"}
	for want, m := range map[string]Mail{
		"":                                      {},
		" RET=HDRS ENVID=QQ314159":              {Ret: RetHeaders, EnvID: "QQ314159"}, // RFC 3461 §10.1
		" RET=FULL":                             {Ret: RetFull},
		" ENVID=a+2Bb+3Dc+0D+0ARCPT+20TO:+FF":   {EnvID: "a+b=c\r\nRCPT TO:\xff"},
		" REQUIRETLS":                           {RequireTLS: true},
		" BY=125;R":                             {By: DeliverBy{Given: true, Within: 125*time.Second + 1, Return: true}},
		" BY=-1;NT":                             {By: DeliverBy{Given: true, Within: -time.Second, Trace: true}},
		" BY=999999999;N":                       {By: DeliverBy{Given: true, Within: math.MaxInt64}},
		" BY=-999999999;N":                      {By: DeliverBy{Given: true, Within: math.MinInt64}},
		" MT-PRIORITY=-9":                       {Priority: -9},
		" SIZE=5 BODY=BINARYMIME MT-PRIORITY=3": {Priority: 3, Size: 5, Body: "BINARYMIME"},
	} {
		m.Sender = sender
		if got := string(m.AppendTo(nil)); got != "MAIL FROM:<alice@example.org>"+want+"\r\n" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRcptAppend(t *testing.T) {
	to := address.Address{Local: "bob", Domain: "example.com"}
	for want, r := range map[string]Rcpt{
		"": {},
		" NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM":   {Notify: NotifySuccess, Original: Original{"rfc822", "Bob@Example.COM"}},
		" NOTIFY=SUCCESS,FAILURE,DELAY":                  {Notify: NotifySuccess | NotifyFailure | NotifyDelay},
		" NOTIFY=NEVER":                                  {Notify: NotifyNever},
		" ORCPT=rfc822;a+20+0D+0Ab+2B@c+3D":              {Original: Original{"rfc822", "a \r\nb+@c="}},
		` ORCPT=utf-8;j\x{F6}rg\x{2B}\x{5C}\x{0A}@x.org`: {Original: Original{"utf-8", "jörg+\\\n@x.org"}},
		` ORCPT=utf-8;\x{1F600}`:                         {Original: Original{"utf-8", "😀"}},
	} {
		r.To = to
		if got := string(r.AppendTo(nil)); got != "RCPT TO:<bob@example.com>"+want+"\r\n" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// REL-008: whatever is in an option, it is one line, and comes back as it was.
func FuzzXtextIsOneWord(f *testing.F) {
	f.Add("QQ314159")
	f.Add("a+b=c\r\n.\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		text := string(appendXtext(nil, s))
		if back, ok := decodeXtext(text); !ok || back != s || strings.ContainsAny(text, " \r\n=") {
			t.Errorf("%q is %q, and comes back as %q", s, text, back)
		}
	})
}

func TestEHLOOfDelivery(t *testing.T) {
	x := ParseEHLO(&Reply{Code: 250, Lines: []string{"mx.example", "BINARYMIME", "MT-PRIORITY MIXER", "DELIVERBY 120"}})
	if !x.BinaryMIME || !x.Priority || !x.DeliverBy || x.LeastBy != 2*time.Minute {
		t.Errorf("%+v", x)
	}
}
