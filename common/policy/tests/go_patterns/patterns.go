package main

import "strings"

// subjects are searched by every pattern.
var subjects = []string{
	"",
	"a", "b", "A", "aa", "ab", "ba", "aab", "aaaa", "abc", "ABC", "xyz", "z",
	"0", "12", "123", "2", "_", "-", "--", ",", ".", "/", "[", "]", "[]", "a]", "[a]", "^", "$", "|", "\\", "<", ">", "&", "~",
	"{", "}", "a{", "a{2", "a{2}", "a{x}", "a{,2}", "a{02}", "{2}", "tenants/{id}/x", "tenants/acme/x",
	" ", "\t", "\n", "\v", "\f", "\r", "a\n", "\na", "a\nb", "a b", "x a", "!",
	"k", "K", "\u212a", "s", "\u017f", "\u00e9", "\u00c9", "\u03c3", "\u03c2", "\u03a3", "\u00df", "\u1e9e", "\u0660", "\u0391", "\u4e2d",
	"\u0130", "\u0131", "i", "I", "\u0264", "\ua7cb", "\u0390", "\u1fd3", "\ufb05", "\ufb06", "\U0001F600", "\U000105C0", "\uffff", "\u00ad",
	"start}x", "bstart}", "x}", "Qa.bE", "a.b", "axb", "a.b*", "n", "d", "w", "u0041", "\x00", "\x07", "\x01", "S", "P", "ad", "aQ", "E",
	"secrets/web/db", "secrets/web/database", "secrets/web", "/secrets/web", "secrets//web", "tenants/acme/",
	"spike/system/acl", "spike/system/secret", "spike/system/cipher/exec", "xspike/system/acl",
	"spiffe://example.org/web-service/1", "spiffe://example.org/app", "spiffe://exampleXorg/app", "spiffe://x.y",
	"spiffe://example.org/ns/prod/sa/api", "spiffe://example.org",
}

// written are patterns with something to say, by what they are about.
func written() []string {
	var all []string
	for _, group := range [][]string{
		differences, braces, brackets, escapes, quotes, repeats, flagged, names, anchors, boundaries, unicodeClasses,
		named, folds, structure, usual, large(),
	} {
		all = append(all, group...)
	}
	return all
}

// differences are those known between Go and Rust's regex crate.
var differences = []string{
	`tenants/{id}/x`, `a{`, `{`, `a{x}`, `a{2`, `a{02}`,
	`[[a]`, `[a[b]`, `[a[b]]`, `[[a]]`, `[[]`,
	`[--/]`, `[a-c--b]`, `[a-z--/]`, `[+--]`, `[a-z--]`, `[a--c]`, `[.--]`,
	`[\w-z]`, `[\d-z]`,
	`\d`, `\w`, `\s`, `\b`, `\D`, `\W`, `\S`, `\B`, `^\d$`, `^\w$`, `^\s$`, `^\D$`, `^\W$`, `^\S$`,
	`\Q...\E`, `\Qa.b\E`, `\0`, `\12`, `\123`, `\101`,
	`a**`, `a+*`, `a++`, `a*+`, `.**`, `a{2}{3}`, `a???`, `a?*`, `a*{2}`,
	`a{1001}`, `(a{100}){11}`, `(a{10}){100}`, `((a{10}){10}){11}`,
	`(?x)`, `(?x)a b`, `(?u)`, `(?R)`, `(?)`,
	`\b{start}`, `\b{x}`, `b\b{start}`, `\b{start-half}`, `\B{x}`,
	`\p{Alphabetic}`, `\p{gc=Lu}`, `\p{Grek}`, `\p{scx=Greek}`,
	`\<`, `\>`, `[a&&b]`, `[a~~b]`, `^[a&&b]$`, `[&&]`, `[a-c&&b]`,
	`[[:foo:]]`, `\u0041`, `\u{41}`, `\U00000041`,
}

var braces = []string{
	`}`, `{}`, `{,}`, `a{}`, `a{,}`, `a{,2}`, `a{2,}`, `a{2,3}`, `a{3,2}`, `a{0}`, `a{0,0}`, `a{0,1}`, `a{1}`, `a{00}`, `a{1,02}`,
	`a{2}`, `a{ 2}`, `a{2 }`, `a{2,x}`, `a{-1}`, `{2}`, `{2}a`, `a|{2}`, `({2})`, `^{2}`, `${2}`, `\{2}`, `a\{2\}`, `a{2}b`, `a{{2}`, `a{a{2}}`,
	`a{1000}`, `a{999,1000}`, `a{1,1001}`, `a{1001,}`, `a{99999999999999999999}`, `a{1,99999999999999999999}`, `a{1000,}`,
	`a{1}{1}`, `a{2}?`, `a{2}??`, `(a{2}){3}`, `x{2}y`, `{a}{b}`, `a{1a}`, `a{1,2`, `a{1,`, `a{1`, `[a]{2}`, `\d{2}`, `.{3}`, `(ab){2}`, `(?:ab){2}`,
	`^a{0}$`, `^(a{1000}){0}$`, `((a{1000}){0}){2}`, `(a{500}){2}`, `(a{501}){2}`, `(a{500}){2,}`, `(a{0,1000}){1}`, `(a*){1000}`, `(a{0,}){1000}`,
	`(a{600}){1}`, `((a{600}){1}){2}`, `(a+){1000}`, `(a?){1000}`, `(a{2,}){500}`, `(a{2,}){501}`, `(a{33}){33}`, `(a|b{501}){2}`, `(ab{501}c){2}`,
}

var brackets = []string{
	`[`, `[]`, `[^]`, `[]a`, `[]a]`, `[^]a]`, `[a`, `[a-`, `[a-]`, `[-a]`, `[^-a]`, `[a-c]`, `[c-a]`, `[a-a]`, `[a-c-e]`, `[^a]`, `[^^]`, `[^a-z]`, `[a^]`,
	`[.]`, `[*]`, `[(]`, `[)]`, `[|]`, `[$]`, `[{]`, `[}]`, `[\]]`, `[\[]`, `[\\]`, `[\-]`, `[a\-c]`, `[\^a]`, `[a-\d]`, `[\d-]`, `[-\d]`, `[\d-a]`,
	`[[:alpha:]]`, `[[:^alpha:]]`, `[[:alpha:]`, `[:alpha:]`, `[[:alpha]]`, `[[:a]x[b:]]`, `[[:digit:]-z]`, `[a-[:digit:]]`, `[[:word:][:space:]]`,
	`^[[:space:]]$`, `^[[:cntrl:]]$`, `^[[:punct:]]$`, `^[[:graph:]]$`, `^[[:print:]]$`, `^[[:xdigit:]]$`, `^[[:blank:]]$`, `^[[:alnum:]]$`,
	`^[[:upper:]]$`, `^[[:lower:]]$`, `^[[:ascii:]]$`, `^[[:^ascii:]]$`, `^[[:word:]]$`, `^[[:^word:]]$`, `[[:Alpha:]]`, `[[: alpha:]]`, `[[::]]`, `[[:^:]]`,
	`[[=a=]]`, `[[.a.]]`, `[a[:digit:]b]`, `[^[:digit:]]`, `[^\d\D]`, `[\d\D]`, `[\s\S]`, `[\w\W]`, `[^\x00-\x{10FFFF}]`, `[\x00-\x{10FFFF}]`,
	`^[^a]$`, `^[^\n]$`, `^.$`, `[\b]`, `[\B]`, `[\A]`, `[\z]`, `[\Q]`, `[\E]`, `[\C]`, `[\a]`, `[\n]`, `[\t\v]`, `[\101]`, `[\1]`, `[\x41-\x43]`, `[\x{41}]`,
	`[\x{d800}]`, `[\x{d7ff}-\x{e000}]`, `[\x{d800}-\x{dfff}]`, `[^\x{d800}]`, `[\pL]`, `[\p{L}]`, `[^\pL]`, `[\PL]`, `[\p{Foo}]`, `[\p]`, `[\pL-z]`,
	`[a-z&&[^b]]`, `[a||b]`, `[~]`, `[a-Z]`, `[A-z]`, `[ -~]`, `[--a]`, `[---]`, `[+-.]`, `[.-+]`, `[,--]`, `[a-b-c]`, `x[]]`, `x[^]]`, `[]-a]`, `[!-]]`,
}

var escapes = []string{
	`\`, `a\`, `\\`, `\.`, `\*`, `\/`, `\_`, `\-`, `\,`, `\ `, `\!`, `\"`, `\#`, `\%`, `\&`, `\'`, `\:`, `\;`, `\=`, `\@`, "\\`", `\~`, `\{`, `\}`, `\(`, `\)`, `\[`, `\]`, `\|`, `\^`, `\$`, `\+`, `\?`,
	`\a`, `\e`, `\f`, `\n`, `\r`, `\t`, `\v`, `\c`, `\cA`, `\g`, `\h`, `\H`, `\i`, `\j`, `\k`, `\k<n>`, `\l`, `\m`, `\N`, `\o`, `\q`, `\R`, `\u`, `\U`, `\V`, `\X`, `\y`, `\Y`, `\Z`, `\G`, `\K`, `\L`, `\M`,
	`\C`, `\C?`, `a\Cb`, `\E`, `a\E`, `\1`, `\2`, `\7`, `\8`, `\9`, `\10`, `\18`, `\00`, `\000`, `\0000`, `\01`, `\08`, `\377`, `\400`, `\777`, `\1234`, `^\0$`,
	`\x`, `\x4`, `\x41`, `\x411`, `\xg`, `\x4g`, `\x{}`, `\x{41}`, `\x{041}`, `\x{00000041}`, `\x{10FFFF}`, `\x{110000}`, `\x{FFFFFFFFF}`, `\x{4`, `\x{`, `\x{g}`, `\x{4 1}`, `\x{D800}`, `\xé`, `\é`, `\x{e9}`, `\xe9`, `é`,
	`\A`, `\z`, `\Aa`, `a\z`, `\A\z`, `\Aa\z`, `x\Aa`, `a\zx`, `(\A)a`, `\A*a`, `\z*`, `^*a`, `$*`, `^+`, `$?`, `\b*`, `\B+`, `^**`,
	"a\nb", "\n", "\x00", "a b", "\u00e9", "[\u00e0-\u00ff]", "\U0001F600", "[^\U0001F600]", "\u212a",
}

var quotes = []string{
	`\Q`, `\Q\E`, `\Qa`, `\Qa\E`, `\Qa\Eb`, `\Qa.b\E`, `\Qa.b*`, `\Q[\E`, `\Q(`, `\Q\`, `\Q\\`, `\Q\\E`, `\Qa\E*`, `\Qab\E*`, `\Qab\E+\Qa`, `\Q\E*`, `a\Q\E*`, `a*\Q\E*`, `a**\Q\E`,
	`\Qa\E\E`, `\Q\Qa\E`, `(\Qa\E)`, `(\Qa)`, `(?i)\Qk\E`, `\Q$\E`, `^\Q|\E$`, `\Qa|b\E`, `[\Qa\E]`, `\Q\n`, `\q`, `\Q{2}\E`, `\Qa\E{2}`,
}

var repeats = []string{
	`*`, `+`, `?`, `*a`, `a|*`, `(*)`, `(+a)`, `(?:*)`, `(?i)*`, `(?i)a*`, `a(?i)*`, `a*(?i)*`, `a*(?:)*`, `a*?`, `a+?`, `a??`, `a*??`, `a*?*`, `a+?+`, `(a*)*`, `(a+)+`, `(a|b)*`, `(a*)+`, `(a?)?`,
	`(|a)*`, `(|a)+`, `(a|)+`, `()*`, `(?:)*`, `()+`, `^a*$`, `^a+$`, `^a?$`, `^(ab)+$`, `^(a|ab)(c|bcd)?$`, `.*`, `.+`, `.?`, `^.*$`, `^.+$`, `a.*b`, `a.+b`, `a.b`, `**`, `++`, `?*`, `a|+`, `|+`, `(|*)`, `\b+`, `a\b*`,
	`x*`, `x*y`, `.*secret`, `.*.*`, `.*?$`, `(.*)`, `^(.*)$`, `[a-z]+/[a-z]+`, `a*+`, `a{2}+`, `a{2}*`, `a+{2}`,
}

var flagged = []string{
	`(?i)a`, `(?i)abc`, `(?i:a)b`, `(?i:a)B`, `a(?i)b`, `(a(?i)b)c`, `(?i)a(?-i)b`, `(?-i)a`, `(?i-)a`, `(?-)a`, `(?--i)a`, `(?i-i)a`, `(?ii)a`, `(?i-s)a`, `(?-i-s)a`, `(?is-mU:a)`, `(?imsU)a`,
	`(?s).`, `^(?s).$`, `(?s)^.*$`, `a(?s).b`, `(?s:a.b)`, `(?-s).`, `(?s)a(?-s).b`, `(?m)^a`, `(?m)a$`, `(?m)^b$`, `(?m)^$`, `(?m:^)b`, `(?m)^a$|x`, `(?-m)^a$`, `(?m)(?-m)^b`, `(?m)\Ab`, `(?m)a\z`, `(?ms)^.*$`,
	`(?U)a*`, `(?U)a*?`, `(?U)a+b`, `(?U:a*)b`, `(?-U)a`, `(?n)a`, `(?J)a`, `(?a)a`, `(?i`, `(?i:a`, `(?`, `(`, `(?:`, `(?:a`, `(?i)`, `(?i:)`, `(?#c)`, `(?=a)`, `(?!a)`, `(?<=a)b`, `(?<!a)b`, `(?>a)`, `(?|a)`, `(?'n'a)`, `(?&n)`, `(?1)`, `(?P>n)`, `(?P=n)`,
	`a|(?i)b|C`, `(?i)a|b`, `(a|(?i)b)B`, `(?i)(a)b`, `((?i)a)b`, `(?i)[a-c]`, `(?i)[^a-c]`, `(?i)[A-C]`, `(?i)\w`, `(?i)\W`, `(?i)[[:upper:]]`, `(?i)[[:^upper:]]`, `(?i)[^[:lower:]]`, `(?i)\x41`, `(?i)\101`, `(?i)[k]`, `^(?i)[^k]$`, `^(?i)[^s]$`, `^(?i)\W$`, `^(?i)\w$`,
	`(?i)spiffe://EXAMPLE`, `(?é)`, `(?i:(?-i)a)A`, `(?s-i)A.`, `(?i)(?-i:a)B`,
}

var names = []string{
	`(?P<n>a)`, `(?<n>a)`, `(?P<n>a)(?P<n>b)`, `(?<n>a)(?<n>b)`, `(?P<n>a)(?<n>b)`, `(?P<1>a)`, `(?P<_>a)`, `(?P<n1_>a)`, `(?P<>a)`, `(?<>a)`, `(?P<n`, `(?<n`, `(?P<`, `(?<`, `(?P`, `(?P<n>`, `(?P<n>a`, `(?P<n-m>a)`, `(?P<n m>a)`, `(?P<é>a)`, `(?P<n>)`, `(?<n>a|b)c`, `(?P<n.m>a)`, `(?P<[>a)`, `(?p<n>a)`, `(?P'n'a)`,
}

var anchors = []string{
	`^`, `$`, `^$`, `^a`, `a$`, `^a$`, `a^`, `$a`, `^^a`, `a$$`, `(^a)`, `(a$)`, `(^a$)`, `^a|b`, `a|b$`, `^a|b$`, `^(a|b)$`, `(^|b)a`, `a(b|$)`, `^(?:a|b)`, `\^a`, `a\$`, `[^a]$`, `^\n`, `\n$`, `a$b`, `a\n$`, `(?m)a$\n^b`, `a^b`, `^*`, `(^)*a`, `($)*`, `x|^`, `x|$`, `(?:^|/)web`, `web(?:$|/)`,
}

var boundaries = []string{
	`\ba`, `a\b`, `\ba\b`, `\Ba`, `a\B`, `\Ba\B`, `\b`, `\B`, `^\b`, `^\B`, `\b$`, `\B$`, `\b\B`, `\bé`, `é\b`, `\Bé`, `^\B$`, `^\b$`, `a\bb`, `a\b b`, `\b/`, `-\b`, `\B-\B`, `_\b`, `\bsecret\b`, `\bweb\b`, `^é\B$`, `é\B`, `\B\B`,
}

var unicodeClasses = []string{
	`\pL`, `\pN`, `\pZ`, `\p{L}`, `\p{Lu}`, `\p{Ll}`, `\p{Nd}`, `\p{Greek}`, `\p{Han}`, `\p{Latin}`, `\p{^L}`, `\P{^L}`, `\PL`, `\P{Lu}`, `^\P{Lu}$`, `\p{lu}`, `\p{LU}`, `\p{greek}`, `\p{GREEK}`, `\p{ Greek}`, `\p{Gr eek}`, `\p{G_r-eek}`, `\p{Any}`, `\P{Any}`, `\p{any}`, `\p{Assigned}`, `\p{ASCII}`, `\P{ASCII}`, `\p{Cn}`, `\p{Cs}`, `\p{C}`, `\p{LC}`, `\p{L&}`,
	`\p{Letter}`, `\p{Uppercase_Letter}`, `\p{uppercase letter}`, `\p{UppercaseLetter}`, `\p{digit}`, `\p{punct}`, `\p{cntrl}`, `\p{alpha}`, `\p{space}`, `\p{White_Space}`, `\p{Uppercase}`, `\p{Old_Italic}`, `\p{OldItalic}`, `\p{SignWriting}`, `\p{Garay}`, `\p{Latn}`, `\p{sc=Greek}`, `\p{Script=Greek}`, `\p{age=6.0}`, `\p{Emoji}`,
	`\p`, `\P`, `\p{`, `\p{}`, `\p{^}`, `\p{L`, `\pé`, `\p^L`, `\p{^^L}`, `\pL+`, `\p{L}{2}`, `\pX`, `\p{Foo}`, `a\p`, `\p{Zs}`, `^\p{Common}$`, `\pLu`, `\p1`, `(?i)\p{Lu}`, `(?i)\P{Lu}`, `(?i)^\P{Lu}$`, `(?i)\p{Greek}`, `(?i)\p{ASCII}`, `^(?i)\p{ASCII}$`, `(?i)[\p{Ll}]`, `(?i)[^\p{Ll}]`, `^(?i)[^\P{Lu}]$`,
}

var named = []string{
	`^[[:alpha:][:digit:]]+$`, `[[:alpha:]-[:digit:]]`, `(?i)[[:lower:]]`, `^(?i)[[:ascii:]]$`, `^(?i)[[:^ascii:]]$`, `[^[:^alpha:]]`, `[[:alpha:]a-]`, `[[:alpha:]]{2}`, `[^[:space:]]+`, `[[:alpha:`, `[[:alpha::]]`, `[[[:alpha:]]`, `[[:alpha:]]]`,
}

var folds = []string{
	`(?i)k`, `(?i)K`, "(?i)\u212a", `(?i)s`, "(?i)\u017f", "(?i)\u00df", "(?i)\u1e9e", "(?i)\u03c3", "(?i)\u03c2", "(?i)\u00e9", "(?i)\u0130", "(?i)\u0131", `(?i)i`, "(?i)\u0264", "(?i)\ua7cb", "(?i)\u0390", "(?i)\u1fd3", "(?i)\ufb05", "(?i)\ufb06",
	"(?i)[\u0260-\u0268]", "^(?i)[^\u0264]$", "^(?i)[^\ufb05]$", "(?i)[\u0380-\u0398]", "(?i)[!-\\x{10FFFF}]", "(?i)[J-L]", "(?i)[j-l]", "(?i)[^J-L]", `(?i)[r-t]`, `(?i:k)K`, "(?i)x\u212ay", `(?i)\x{212a}`, `(?i)[\x{212a}]`, `(?i)1`, `(?i)_`,
}

var structure = []string{
	``, `|`, `||`, `a|`, `|a`, `a||b`, `()`, `(|)`, `(a|)`, `(|a)b`, `^(|a)$`, `^(a|b|)$`, `a)`, `)`, `(a`, `((a)`, `(a))`, `(()`, `())`, `a(`, `a(b`, `a|b)`, `(a|b`, `(?:a)`, `(?:a|b)c`, `((a))`, `(((a)))`, `(a)(b)`, `(ab|a)(c|)`,
	`abc|abd|aef|bcx|bcy`, `a|b|c`, `[ab]|c`, `a|[bc]|.`, `(?i:a)b|Ac`, `Ac|(?i:A)b`, `(?i)a|(?-i)A`, `ab|aC|(?i)ad`, `.|\n`, `^(?:.|\n)$`, `.|a`, `^(?:a|.)$`, `a{2}b|a{2}c`, `[ab]{2}c|[ab]{2}d`, `[ab]c|[ab]d`, `\s|\S`, `^(?:\s|\S)$`, `(?s:.)|a`, `x(?:)y`, `^(?:)$`,
}

var usual = []string{
	`^spiffe://example\.org/web-service/.*$`, `^spiffe://example.org/app$`, `spiffe://example\.org`, `^spiffe://x.y$`, `spiffe://.*`, `.*`, `^.*$`, `^secrets/web/database$`, `^secrets/`, `secrets/.*`, `acl`, `secret`, `^spike/system/acl$`, `spike/system/.*`, `^spike/system/(acl|secret)$`, `^spike/system/cipher/exec$`,
	`tenants/acme/*`, `tenants/*`, `^tenants/[^/]+/x$`, `^tenants/[a-z]+/`, `/secrets/web`, `^/secrets`, `^secrets/web/db$|^tenants/`, `^spiffe://example\.org/ns/(prod|dev)/sa/[a-z]+$`, `^spiffe://[^/]+/app$`, `^spiffe://example[.]org/app$`, `web(-service)?`, `secrets//web`, `secrets\\.web`, `secrets\.web`, `^secrets/[a-z]{3}/db$`, `^secrets/\w+/\w+$`, `^(?i)SECRETS/`, `tenants/\{id\}/x`,
}

func large() []string {
	return []string{
		strings.Repeat("(", 100) + "a" + strings.Repeat(")", 100),
		strings.Repeat("(", 249) + "a" + strings.Repeat(")", 249),
		strings.Repeat("(", 1001) + "a" + strings.Repeat(")", 1001),
		strings.Repeat("(?:a|", 120) + "b" + strings.Repeat(")", 120),
		strings.Repeat("a?", 60) + strings.Repeat("a", 60),
		strings.Repeat("a*", 60), strings.Repeat("(a*)*", 40), "[" + strings.Repeat("ab", 200) + "]",
		`[a-z]{1000}`, `.{1000}`, `(.{10}){100}`, `(?s).{1000}`, `\w{500}`, `(a{1,100}){10}`, `(?:[a-z]+/){100}`,
	}
}

// What generated patterns are made of.
var (
	atoms = []string{
		"a", "b", "c", "A", "k", "s", "/", "-", "_", "0", "2", "{", "}", "]", ",", " ", ".", "^", "$", `\d`, `\w`, `\s`, `\W`, `\S`, `\D`, `\b`, `\B`,
		`\.`, `\*`, `\\`, `\/`, `\n`, `\A`, `\z`, `\Qa`, `\E`, `\Q.\E`, `\0`, `\12`, `\101`, `\x41`, `\x{61}`, `\pL`, `\p{Lu}`, `\p{Greek}`, `\PL`, "é", "\u212a",
		"web", "spike/system/acl", "spiffe://", "a{", "{2", "{,2}", "{02}", "\u03c3", "x",
	}
	operators = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0}", "{1,2}", "{2,}", "{0,1}", "{1,2}?", "{20}"}
	groups    = []string{"(", "(", "(?:", "(?i:", "(?i)(", "(?s:", "(?m:", "(?U:", "(?P<n>", "(?<m>", "(?-i:", "(?is-m:", "(?i)(?:", "(?x:"}
	members   = []string{
		"a", "b", "-", "a-c", "A-C", "0-9", "[", "^", "]", `\]`, `\-`, `\d`, `\w`, `\s`, `\W`, "[:alpha:]", "[:^digit:]", "[:foo:]", "&&", "~~", "--", "k", "s", ".", "*", "é", `\pL`, `\P{Lu}`,
		`\x41-\x5a`, "+--", "a--", "c-a", `\n`, "$", "{", `\Q`, `\b`, "z-", "--/",
	}
)

// noClasses are names that Go does not take for a class.
var noClasses = []string{
	"Alphabetic", "Grek", "Latn", "gc=Lu", "sc=Greek", "White_Space", "Uppercase", "Emoji", "Garay", "Sunuwar", "Todhri", "L&", "", "^", "Zzzz", "Unknown", "OldItalic", "Xan", "Word",
}
