"""The tables of the server's database. A change is a new script at the end; those that were released never change.

The table `part` is no longer used: kept subgraphs are workflows. It stays for those who filled it by the API.
In `workflow`, `title` is what the document calls itself, and a `draft` is one that nobody has named yet;
`folder` is where it is listed, as "a/b", and says nothing about the name, which no two share.
"""

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE document (
    digest TEXT PRIMARY KEY,        -- of the JSON text: the runs of a sweep and their retries share what is equal
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,   -- "r" and this is the id
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    intent TEXT,                    -- what was asked of a running one: cancel or pause
    priority INTEGER NOT NULL,
    rank REAL NOT NULL,             -- the place among those of one priority
    document TEXT NOT NULL REFERENCES document (digest),
    workflow TEXT,
    batch TEXT,
    retry_of TEXT,
    key TEXT UNIQUE,
    options TEXT NOT NULL,          -- JSON: targets, force, checkpoint_seconds
    inputs TEXT NOT NULL,           -- JSON
    search TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    ends INTEGER NOT NULL DEFAULT 0,    -- how often it was given a final status: 0 or 1
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    seconds REAL,
    estimate REAL,
    worker TEXT,
    problems TEXT NOT NULL DEFAULT '[]',
    outputs TEXT NOT NULL DEFAULT '{}',
    files TEXT NOT NULL DEFAULT '[]',
    nodes TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX run_waiting ON run (status, priority DESC, rank);
CREATE INDEX run_batch ON run (batch) WHERE batch IS NOT NULL;
CREATE INDEX run_workflow ON run (workflow) WHERE workflow IS NOT NULL;
CREATE INDEX run_document ON run (document);
CREATE TABLE file (
    name TEXT NOT NULL,             -- below the output folder
    digest TEXT NOT NULL,
    run INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    PRIMARY KEY (name, digest)
) WITHOUT ROWID;
CREATE INDEX file_digest ON file (digest);
CREATE TABLE workflow (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    description TEXT NOT NULL,
    nodes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE revision (
    workflow TEXT NOT NULL REFERENCES workflow (name) ON DELETE CASCADE ON UPDATE CASCADE,
    number INTEGER NOT NULL,
    document TEXT NOT NULL REFERENCES document (digest),
    created REAL NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (workflow, number)
) WITHOUT ROWID;
CREATE INDEX revision_document ON revision (document);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO setting VALUES ('boots', '0'), ('paused', 'false')
""",
    "ALTER TABLE revision ADD COLUMN autosave INTEGER NOT NULL DEFAULT 0",
    """
CREATE TABLE output (
    number INTEGER PRIMARY KEY AUTOINCREMENT,   -- "p" and this is the id
    name TEXT NOT NULL,             -- below the output folder
    digest TEXT NOT NULL,
    made REAL NOT NULL,
    run INTEGER,                    -- outlives the run itself, which may be forgotten
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    workflow TEXT,
    batch TEXT,
    facts TEXT NOT NULL DEFAULT '{}',   -- JSON: prompts, models, seed, types of nodes, parameters
    search TEXT NOT NULL DEFAULT '',
    trashed REAL,                   -- since when it lies in the trash
    UNIQUE (name, digest)
);
CREATE INDEX output_digest ON output (digest);
CREATE INDEX output_made ON output (trashed, made DESC, number DESC);
CREATE INDEX output_run ON output (run);
INSERT INTO output (name, digest, made, run, media_type, size, width, height, workflow, batch)
    SELECT file.name, digest, coalesce(finished, 0), file.run, media_type, size, width, height, workflow, batch
    FROM file LEFT JOIN run ON run.number = file.run ORDER BY file.run;
DROP TABLE file;
CREATE TABLE batch (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    axes TEXT NOT NULL              -- JSON: what is different from run to run, with its values
) WITHOUT ROWID;
CREATE TABLE part (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    description TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    body BLOB NOT NULL              -- a subgraph as JSON text
) WITHOUT ROWID
""",
    """
ALTER TABLE output ADD COLUMN frames INTEGER NOT NULL DEFAULT 0;
ALTER TABLE output ADD COLUMN seconds REAL NOT NULL DEFAULT 0
""",
    """
CREATE TABLE vote (
    number INTEGER PRIMARY KEY AUTOINCREMENT,   -- "v" and this is the id
    batch TEXT NOT NULL REFERENCES batch (id),
    one TEXT NOT NULL,              -- JSON: the place of the left run on each axis
    other TEXT NOT NULL,            -- and of the right one
    preferred TEXT NOT NULL,        -- left, right or tie
    made REAL NOT NULL
);
CREATE INDEX vote_batch ON vote (batch)
""",
    """
CREATE TABLE prompt (
    run INTEGER PRIMARY KEY REFERENCES run (number) ON DELETE CASCADE,
    place REAL NOT NULL,            -- its number by ComfyUI's count: the lower goes first
    body BLOB NOT NULL              -- JSON: what was posted, and whose nodes are whose
)
""",
    """
ALTER TABLE workflow ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE workflow ADD COLUMN draft INTEGER NOT NULL DEFAULT 0
""",
    """
ALTER TABLE workflow ADD COLUMN folder TEXT NOT NULL DEFAULT '';
ALTER TABLE workflow ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workflow ADD COLUMN opened REAL NOT NULL DEFAULT 0
""",
    """
ALTER TABLE output ADD COLUMN rating INTEGER NOT NULL DEFAULT 0;
CREATE TABLE tag (
    output INTEGER NOT NULL REFERENCES output (number) ON DELETE CASCADE,
    folded TEXT NOT NULL,           -- the word as it is compared and searched
    word TEXT NOT NULL,
    PRIMARY KEY (output, folded)
) WITHOUT ROWID;
CREATE INDEX tag_folded ON tag (folded);
CREATE TABLE board (
    number INTEGER PRIMARY KEY AUTOINCREMENT,   -- "g" and this is the id
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL
);
CREATE TABLE board_output (
    board INTEGER NOT NULL REFERENCES board (number) ON DELETE CASCADE,
    output INTEGER NOT NULL REFERENCES output (number) ON DELETE CASCADE,
    PRIMARY KEY (board, output)
) WITHOUT ROWID;
CREATE INDEX board_output_output ON board_output (output)
""",
    """
CREATE TABLE preset (
    number INTEGER PRIMARY KEY AUTOINCREMENT,   -- "s" and this is the id
    type TEXT NOT NULL,             -- of the node, and the version of it that the values are for
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,             -- JSON: values by port
    standard INTEGER NOT NULL,      -- what new nodes of the type begin with
    modified REAL NOT NULL,
    UNIQUE (type, name)
)
""",
)
