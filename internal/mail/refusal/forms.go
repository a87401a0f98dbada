package refusal

// forms are the refusals that are known; the first that fits counts.
var forms = []form{
	{id: "microsoft-s3140", who: "Microsoft", says: []string{"s3140"}, means: "blocked", link: "https://olcsupport.office.com/"},
	{id: "google-rate", who: "Gmail", at: "google.com googlemail.com", on: "4.7.28", means: "slow", link: "https://support.google.com/mail/?p=UnsolicitedRateLimitError"},
	{id: "unknown-user", on: "5.1.1", means: "unknown"},
}
