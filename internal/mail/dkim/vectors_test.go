package dkim

import (
	"strings"
	"testing"
	"time"
)

const dinner = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`

// rfc6376 is the example of RFC 6376 A.2, simple both ways.
const rfc6376 = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
        4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
` + dinner

// rfc8463 is the example of RFC 8463 A.3, with an Ed25519 and an RSA signature.
const rfc8463 = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
` + dinner

// theirKeys are the records of the examples.
func theirKeys() map[string]string {
	const brisbane = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" +
		"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" +
		"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	const test = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bd" +
		"OKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9Pzo" +
		"xZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
	return map[string]string{
		"brisbane._domainkey.example.com":          brisbane,
		"brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"test._domainkey.football.example.com":     test,
	}
}

// TestVectors: the examples of the RFCs, with the line ends of files and of the wire,
// and as others write the bare key of RFC 6376 §3.6.1.
func TestVectors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text string
		want       []Result
	}{
		{"RFC 6376 A.2", rfc6376, []Result{{Status: Pass, Domain: "example.com", Selector: "brisbane", Identity: "joe@football.example.com", Algorithm: "rsa-sha256", Bits: 1024, B: "AuUoFEfD"}}},
		{"RFC 8463 A.3", rfc8463, []Result{
			{Status: Pass, Domain: "football.example.com", Selector: "brisbane", Identity: "@football.example.com", Algorithm: "ed25519-sha256", Bits: 256, B: "/gCrinpc"},
			{Status: Pass, Domain: "football.example.com", Selector: "test", Identity: "@football.example.com", Algorithm: "rsa-sha256", Bits: 1024, B: "F45dVWDf"},
		}},
	}
	for _, tc := range cases {
		for ends, text := range map[string]string{"LF": tc.text, "CRLF": strings.ReplaceAll(tc.text, "\n", "\r\n")} {
			got := verify(text, zone(theirKeys()), time.Date(2018, 6, 11, 0, 0, 0, 0, time.UTC), Options{})
			if len(got) != len(tc.want) {
				t.Fatalf("%s: %+v", tc.name, got)
			}
			for i, want := range tc.want {
				r := got[i]
				told := Result{Status: r.Status, Domain: r.Domain, Selector: r.Selector, Identity: r.Identity, Algorithm: r.Algorithm, Bits: r.Bits, B: r.B}
				if told.Status != want.Status || told.Domain != want.Domain || told.Selector != want.Selector || told.Identity != want.Identity ||
					told.Algorithm != want.Algorithm || told.Bits != want.Bits || told.B != want.B || !r.HeaderIntact || !r.BodyIntact {
					t.Errorf("%s, %s: %+v, want %+v", tc.name, ends, r, want)
				}
			}
		}
	}
}

// The Ed25519 key of RFC 8463 A.1 has the public half that stands there.
func TestVectorKey(t *testing.T) {
	t.Parallel()
	const text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"
	private, err := ParsePrivateKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	k := Key{Domain: "football.example.com", Selector: "brisbane", Private: private}
	record, err := k.Record()
	if want := theirKeys()["brisbane._domainkey.football.example.com"]; err != nil || record != want {
		t.Errorf("%q, %v, want %q", record, err, want)
	}
	signed := signed(t, dinner, k, Form{})
	if got := verify(signed, zone(theirKeys()), day, Options{}); len(got) != 1 || got[0].Status != Pass {
		t.Errorf("%+v", got)
	}
}
