//! The types that are taken: the allow-list. What is not in it is refused.

use crate::model::file::FileKind::{self, Audio, Document, Image, Video};

/// One type, and by which names senders know it.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) mime: &'static str,
    pub(super) kind: FileKind,
    /// What senders declare, beside `mime` itself.
    pub(super) aliases: &'static [&'static str],
    /// How names of such files end.
    pub(super) extensions: &'static [&'static str],
}

const fn row(
    mime: &'static str,
    kind: FileKind,
    aliases: &'static [&'static str],
    extensions: &'static [&'static str],
) -> Type {
    Type { mime, kind, aliases, extensions }
}

pub(super) static JPEG: Type =
    row("image/jpeg", Image, &["image/jpg", "image/pjpeg"], &["jpg", "jpeg", "jpe"]);
pub(super) static PNG: Type =
    row("image/png", Image, &["image/apng", "image/x-png"], &["png", "apng"]);
pub(super) static GIF: Type = row("image/gif", Image, &[], &["gif"]);
pub(super) static WEBP: Type = row("image/webp", Image, &[], &["webp"]);

pub(super) static MP4: Type = row(
    "video/mp4",
    Video,
    &["video/x-m4v", "video/3gpp", "video/quicktime"],
    &["mp4", "m4v", "3gp"],
);
pub(super) static QUICKTIME: Type = row("video/quicktime", Video, &["video/mp4"], &["mov", "qt"]);
pub(super) static WEBM: Type = row("video/webm", Video, &[], &["webm"]);

pub(super) static M4A: Type = row(
    "audio/mp4",
    Audio,
    &["audio/m4a", "audio/x-m4a", "audio/aac", "audio/mp4a-latm"],
    &["m4a", "m4b"],
);
pub(super) static WEBA: Type = row("audio/webm", Audio, &[], &["weba"]);
pub(super) static MP3: Type =
    row("audio/mpeg", Audio, &["audio/mp3", "audio/x-mp3", "audio/x-mpeg"], &["mp3"]);
pub(super) static AAC: Type =
    row("audio/aac", Audio, &["audio/aacp", "audio/x-aac", "audio/x-hx-aac-adts"], &["aac"]);
pub(super) static OGG: Type = row(
    "audio/ogg",
    Audio,
    &["audio/opus", "audio/vorbis", "audio/x-opus+ogg", "application/ogg"],
    &["ogg", "oga", "opus"],
);
pub(super) static WAV: Type =
    row("audio/wav", Audio, &["audio/x-wav", "audio/wave", "audio/vnd.wave"], &["wav"]);
pub(super) static FLAC: Type = row("audio/flac", Audio, &["audio/x-flac"], &["flac"]);

pub(super) static PDF: Type = row("application/pdf", Document, &["application/x-pdf"], &["pdf"]);
pub(super) static PLAIN: Type = row("text/plain", Document, &[], &["txt", "log"]);
pub(super) static RTF: Type =
    row("application/rtf", Document, &["text/rtf", "application/x-rtf"], &["rtf"]);

/// What UTF-8 text may be. The first is the rule, for all other text too.
pub(super) static TEXTS: [&Type; 4] = [
    &PLAIN,
    &row("text/csv", Document, &["application/csv", "application/vnd.ms-excel"], &["csv"]),
    &row("text/markdown", Document, &["text/x-markdown"], &["md", "markdown"]),
    &row("application/json", Document, &["text/json", "application/x-ndjson"], &["json"]),
];

/// What a ZIP archive may be. The first is the rule.
pub(super) static ZIPS: [&Type; 8] = [
    &row(
        "application/zip",
        Document,
        &["application/x-zip-compressed", "application/x-zip"],
        &["zip"],
    ),
    &row(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Document,
        &[],
        &["docx"],
    ),
    &row(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Document,
        &[],
        &["xlsx"],
    ),
    &row(
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Document,
        &[],
        &["pptx"],
    ),
    &row("application/vnd.oasis.opendocument.text", Document, &[], &["odt"]),
    &row("application/vnd.oasis.opendocument.spreadsheet", Document, &[], &["ods"]),
    &row("application/vnd.oasis.opendocument.presentation", Document, &[], &["odp"]),
    &row("application/epub+zip", Document, &[], &["epub"]),
];

/// What a compound file of older offices may be. There is no rule: installers are such files too,
/// so the sender has to say which it is.
pub(super) static COMPOUNDS: [&Type; 3] = [
    &row("application/msword", Document, &[], &["doc"]),
    &row("application/vnd.ms-excel", Document, &[], &["xls"]),
    &row("application/vnd.ms-powerpoint", Document, &[], &["ppt"]),
];

pub(super) static GZIP: Type =
    row("application/gzip", Document, &["application/x-gzip"], &["gz", "tgz"]);
pub(super) static SEVEN_ZIP: Type = row("application/x-7z-compressed", Document, &[], &["7z"]);
pub(super) static RAR: Type = row(
    "application/vnd.rar",
    Document,
    &["application/x-rar-compressed", "application/x-rar"],
    &["rar"],
);

/// Names that systems run, or browsers show as a page, when they are opened. Their content may look
/// like the plainest text. The programs are those that large mail services refuse as well.
pub(super) static ACTIVE_EXTENSIONS: &[&str] = &[
    "ade",
    "adp",
    "apk",
    "app",
    "appx",
    "appxbundle",
    "bat",
    "cab",
    "chm",
    "cmd",
    "com",
    "cpl",
    "crx",
    "desktop",
    "diagcab",
    "diagcfg",
    "diagpkg",
    "dll",
    "dmg",
    "ex",
    "ex_",
    "exe",
    "hlp",
    "hta",
    "htm",
    "html",
    "img",
    "ins",
    "ipa",
    "iso",
    "isp",
    "jar",
    "jnlp",
    "js",
    "jse",
    "lib",
    "lnk",
    "mde",
    "mht",
    "mhtml",
    "mjs",
    "msc",
    "msi",
    "msix",
    "msixbundle",
    "msp",
    "mst",
    "nsh",
    "pif",
    "pkg",
    "ps1",
    "reg",
    "scf",
    "scr",
    "sct",
    "shb",
    "shtml",
    "svg",
    "svgz",
    "swf",
    "sys",
    "url",
    "vb",
    "vbe",
    "vbs",
    "vhd",
    "vhdx",
    "vxd",
    "webloc",
    "wsc",
    "wsf",
    "wsh",
    "xht",
    "xhtml",
    "xll",
    "xml",
    "xpi",
    "xsl",
    "xslt",
];

/// Declared by senders that do not know.
pub(super) static UNKNOWN: &[&str] =
    &["", "application/octet-stream", "binary/octet-stream", "application/x-binary", "*/*"];

/// Text that browsers act on. Declared so, it is refused whatever it holds.
pub(super) static ACTIVE_TEXTS: &[&str] =
    &["text/html", "text/xml", "text/xsl", "text/javascript", "text/ecmascript"];
