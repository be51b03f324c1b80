/** What scripts find as `window.brokerlab`: the page's own session. Times are virtual milliseconds since the start. */
interface Brokerlab {
  /** Replaces the session; throws BrokerlabError, and then the old session stands. */
  load(saved: BrokerlabSaved): void;
  /** `load(export())` gives the same trace hash at the same time. */
  export(): BrokerlabSaved;
  /** Applied now; throws BrokerlabError. */
  command(command: BrokerlabCommand): unknown;
  /** Runs virtual time forward, synchronously, whatever play or pause says. */
  advance(ms: number): void;
  step(kind?: "event" | "request" | "interesting"): void;
  /** To any time between 0 and the latest reached. */
  seek(ms: number): void;
  undo(): boolean;
  redo(): boolean;
  play(speed?: number): void;
  pause(): void;
  view(): BrokerlabView;
  /**
   * The trace from index `since` on. The newest 200,000 events are kept: with more the answer begins later than asked for. An event's `index` is its place
   * in the whole trace all the same, so that a gap shows, and `seek` to an earlier time brings the events before it back.
   */
  events(since?: number): BrokerlabEvent[];
  /** 10,000 records, unless `max` says how many. */
  messages(query: { topic: string; partition: number; offset?: number; max?: number; isolation?: "read_uncommitted" | "read_committed" }): BrokerlabMessage[];
  /** Hexadecimal; equal for equal seed and commands, live and replayed. */
  traceHash(): string;
  readonly version: string;
}

interface BrokerlabError extends Error {
  name: "BrokerlabError";
  /** Kafka's error name, or INVALID_ARGUMENT. */
  code: string;
  /** Path of the bad field. */
  field?: string;
}

/** Text, or bytes that are not UTF-8. */
type BrokerlabBytes = string | { base64: string };
type BrokerlabTopicPartition = { topic: string; partition: number };

interface BrokerlabSaved {
  format: "brokerlab";
  version: 1;
  /** 0 to 2^53 - 1. */
  seed: number;
  cluster: { brokers: number; controllers?: 1 | 3; racks?: string[]; configs?: Record<string, string>; startTimestamp?: number };
  commands: { at: number; command: BrokerlabCommand }[];
  until: number;
}

type BrokerlabCommand =
  | { type: "createTopic"; name: string; partitions: number; replicationFactor: number; configs?: Record<string, string> }
  | { type: "deleteTopic"; name: string }
  | { type: "createPartitions"; topic: string; partitions: number /* afterwards */ }
  | { type: "deleteRecords"; topic: string; partition: number; beforeOffset: number /* -1: the high watermark */ }
  | { type: "alterConfigs"; resource: "topic" | "broker" | "group"; name: string /* of a broker its id; empty: all brokers */; set?: Record<string, string>; delete?: string[] }
  | { type: "electLeader"; topic: string; partition: number; unclean?: boolean }
  | { type: "reassign"; topic: string; partition: number; replicas: number[] | null /* null: the move that is under way is taken back */ }
  | { type: "addProducer"; id: string; topic: string; recordsPerSecond?: number; keys?: string[]; keyDistribution?: "uniform" | "roundRobin" | "zipf"; value?: string /* {seq} {key} {client} {time} {rand} {int:1..6} {float:0.00..9.99} {choice:a|b} */; changeDataCapture?: boolean /* its records are the changes of a table's rows */; configs?: Record<string, string> }
  | { type: "changeRow"; producer: string; key: BrokerlabBytes; value?: string | null /* null deletes the row */ }
  | { type: "removeProducer"; id: string }
  | { type: "alterClientQuotas"; user?: string; clientId?: string /* "<default>": whoever has none of his own */; set?: Record<string, string> /* producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate */; delete?: string[] }
  | { type: "send"; producer?: string; topic: string; key?: BrokerlabBytes | null; value: BrokerlabBytes | null; headers?: [string, BrokerlabBytes | null][]; partition?: number; timestamp?: number }
  | { type: "import"; topic: string; format: "jsonl" | "csv"; text: string; keyField?: string }
  | { type: "addConsumer"; id: string; group?: string; topics?: string[]; pattern?: string /* a regular expression instead of topics: Java's, or RE2's with group.protocol=consumer */; partitions?: BrokerlabTopicPartition[]; processingMs?: number; configs?: Record<string, string> }
  | { type: "addProcessor"; id: string; group: string; topics: string[]; topic: string /* where it writes */; value?: string /* a template: {key} {value} */; processingMs?: number; configs?: Record<string, string> /* of its consumer and its producer; transactional.id: exactly once */ }
  | { type: "addAggregate"; id: string; topic: string; table: string /* the topic that its changes are written to */; function: "count" | "sum" | "last"; field?: string; configs?: Record<string, string> }
  | { type: "removeConsumer" | "crashConsumer" | "pauseConsumer" | "resumeConsumer"; id: string }
  | { type: "commit"; consumer: string; offsets?: (BrokerlabTopicPartition & { offset: number; metadata?: string })[] }
  | { type: "seek"; consumer: string; topic: string; partition: number; to: number | "beginning" | "end" | { timestamp: number } }
  | { type: "flush"; producer: string }
  | { type: "beginTransaction" | "commitTransaction" | "abortTransaction"; producer: string }
  | { type: "sendOffsetsToTransaction"; producer: string; consumer: string }
  | { type: "resetOffsets"; group: string; topic: string; partition?: number; to: "earliest" | "latest" | { offset: number } | { shiftBy: number } | { timestamp: number } }
  | { type: "moveCoordinator"; group?: string; transactionalId?: string; broker: number }
  | { type: "crashBroker" | "restartBroker" | "powerLoss" | "stopBroker" | "removeBroker"; broker: number }
  | { type: "addBroker"; broker?: number; rack?: string }
  | { type: "freezeBroker"; broker: number; ms: number }
  | { type: "slowDisk"; broker: number; factor: number /* 1: healthy again */ }
  | { type: "skewClock"; broker: number; ms: number /* its clock is ahead by so much, in whole milliseconds */ }
  | { type: "crashController" | "restartController"; controller: number }
  | { type: "setLink"; from: string; to: string /* "broker-1", "controller-1", a client's id, "*" */; latencyMs?: number; bytesPerSecond?: number; cut?: boolean; dropRatio?: number; duplicateRatio?: number; delayRatio?: number; delayMs?: number }
  | { type: "messageFault"; message: number /* its number in the trace */; action: "drop" | "delay" | "duplicate"; delayMs?: number }
  | { type: "dropNext"; api: string /* "Produce" */; broker?: number; what?: "request" | "response" };

interface BrokerlabView {
  time: number;
  latest: number;
  playing: boolean;
  speed: number;
  seed: number;
  controller: { leader: number | null; epoch: number };
  controllers: { id: number; state: "running" | "crashed"; role: string | null; logEndOffset: number; highWatermark: number }[];
  brokers: { id: number; rack: string | null; state: "running" | "crashed" | "frozen" | "fenced" | "stopping" | "stopped"; epoch: number; clockSkewMs?: number; diskFactor?: number }[];
  topics: {
    name: string;
    id: string;
    internal: boolean;
    /** With the values in force: the topic's own, or what the brokers have for topics that do not say. */
    configs: Record<string, string>;
    partitions: {
      partition: number;
      leader: number | null;
      preferredLeader: number;
      leaderEpoch: number;
      partitionEpoch: number;
      isr: number[];
      eligibleLeaderReplicas?: number[];
      lastKnownElr?: number[];
      addingReplicas?: number[];
      removingReplicas?: number[];
      replicas: { broker: number; logStartOffset: number; localLogStartOffset?: number; logEndOffset: number; highWatermark: number; lastStableOffset: number; leaderEpoch: number; inSync: boolean; bytes: number }[];
      remoteSegments?: { baseOffset: number; lastOffset: number; bytes: number; state: "COPY_SEGMENT_STARTED" | "COPY_SEGMENT_FINISHED" | "DELETE_SEGMENT_STARTED"; leaderEpoch: number }[];
    }[];
  }[];
  producers: { id: string; topic: string; sent: number; acknowledged: number; failed: number; retries: number; buffered: number; inFlight: number; transaction?: string; configs: Record<string, string> }[];
  consumers: { id: string; group: string | null; state: string; consumed: number; positions: (BrokerlabTopicPartition & { position: number })[]; printed: (BrokerlabTopicPartition & { offset: number; timestamp: number; key: BrokerlabBytes | null; value: BrokerlabBytes | null })[]; table?: Record<string, string>; configs: Record<string, string> }[];
  groups: {
    id: string;
    protocol: "classic" | "consumer" | "share";
    state: string;
    generation: number;
    coordinator: number | null;
    assignor: string | null;
    members: { memberId: string; clientId: string; instanceId: string | null; assignment: BrokerlabTopicPartition[] }[];
    /** Of a share group: records that members have acquired, and how often one of those in flight was delivered at the most. */
    offsets: (BrokerlabTopicPartition & { committed: number | null; logEndOffset: number; lag: number | null; acquired?: number; deliveryCount?: number })[];
  }[];
  transactions?: {
    id: string;
    state: "Empty" | "Ongoing" | "PrepareCommit" | "PrepareAbort" | "CompleteCommit" | "CompleteAbort";
    coordinator: number;
    producerId: number;
    producerEpoch: number;
    timeoutMs: number;
    started: number | null;
    partitions: BrokerlabTopicPartition[];
  }[];
  /** What `setLink` says; the last one that fits a pair of nodes holds. */
  links?: { from: string; to: string; latencyMs?: number; bytesPerSecond?: number; cut: boolean; dropRatio?: number; duplicateRatio?: number; delayRatio?: number; delayMs?: number }[];
  /** What `dropNext` still waits for. */
  drops?: { api: string; broker?: number; what: "request" | "response" }[];
}

interface BrokerlabEvent { index: number; time: number; kind: string; node: string; text: string; topic?: string; partition?: number; error?: string; detail: object }

interface BrokerlabMessage {
  offset: number;
  timestamp: number;
  leaderEpoch: number;
  key: BrokerlabBytes | null;
  value: BrokerlabBytes | null;
  headers: [string, BrokerlabBytes | null][];
  partition: number;
  producerId?: number;
  producerEpoch?: number;
  sequence?: number;
  transactional?: boolean;
  control?: "commit" | "abort";
}

interface Window { readonly brokerlab: Brokerlab }
