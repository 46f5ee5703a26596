// What operators can change: each says what will happen, before it does.
//
// An action is plain data: `title`, `says` (sentences), `grave` (it takes something from callers), `button`, `path` and
// `body` of the request, `done` (what is said afterwards).

import { percent, plural } from "./format.js";
import { now } from "./store.js";

/** Whether this caller may steer the mesh. */
export const mayOperate = (status) => !status?.role || status.role !== "infer";

export function drain(instance, drained) {
  const alone = drained ? onlyThere(instance) : [];
  return {
    title: drained ? `Drain ${instance.instance}?` : `Give ${instance.instance} calls again?`,
    says: drained ? [
      `It gets no new calls. ${underWay(instance.in_flight)}`,
      alone.length
        ? `No other ready instance serves ${list(alone)}: calls that need ${alone.length > 1 ? "them" : "it"} will fail.`
        : "Other instances take its calls.",
      "This holds for this router, until it is undone or the router starts again.",
    ] : ["The router chooses it again for new calls, at once."],
    grave: alone.length > 0,
    button: drained ? "Drain" : "Undrain",
    path: "/api/instances/drain",
    body: { instance: instance.instance, drained },
    done: drained ? `${instance.instance} is drained.` : `${instance.instance} gets calls again.`,
  };
}

const underWay = (calls) => (calls ? `${plural(calls, "call")} under way will end there.` : "None is under way there.");

/** Models that no other instance could serve. */
function onlyThere(instance) {
  const others = now().instances.filter((each) => each !== instance && each.state === "ready" && !each.drained);
  return instance.models.filter((model) => !others.some((each) => each.models.includes(model)));
}

const list = (names) => names.join(", ").replace(/, ([^,]*)$/, " and $1");

export function load(model) {
  return {
    title: `Take ${model.name} back into service?`,
    says: ["Calls that name it are answered again, and the router chooses it for others."],
    button: "Load",
    path: "/api/models/load",
    body: { model: model.name },
    done: `${model.name} is in service.`,
  };
}

export function unload(model) {
  return {
    title: `Take ${model.name} out of service?`,
    says: ["Calls that name it fail; others go to other models, where there are any.", "Calls under way end."],
    grave: true,
    button: "Unload",
    path: "/api/models/unload",
    body: { model: model.name },
    done: `${model.name} is out of service.`,
  };
}

export function pin(model, pinned) {
  return {
    title: pinned ? `Pin ${model.name}?` : `Unpin ${model.name}?`,
    says: [pinned ? "It cannot be unloaded until it is unpinned." : "It can be unloaded again."],
    button: pinned ? "Pin" : "Unpin",
    path: "/api/models/pin",
    body: { model: model.name, pinned },
    done: `${model.name} is ${pinned ? "pinned" : "no longer pinned"}.`,
  };
}

export function weigh(before, weights) {
  const changed = Object.keys(weights).filter((term) => weights[term] !== before[term]);
  return {
    title: "Change how replicas and models are scored?",
    says: [
      `${list(changed.map((term) => `${term} from ${before[term]} to ${weights[term]}`))}.`,
      "Every decision from now on is weighed like that, until this router starts again.",
    ],
    button: "Change weights",
    path: "/api/weights",
    body: weights,
    done: "The weights are changed.",
  };
}

export function logLevel(level, instance) {
  return {
    title: `Log at level ${level}?`,
    says: [
      `${instance || "The router and all its instances"} will write ${LEVELS[level]}`,
      "This holds until the process starts again.",
    ],
    button: "Change level",
    path: "/api/log-level",
    body: instance ? { level, instance } : { level },
    done: `${instance || "The whole mesh"} logs at level ${level}.`,
  };
}

const LEVELS = {
  debug: "everything, which can be a lot under traffic.",
  info: "what happens, without details.",
  warning: "only what needs attention.",
  error: "only failures.",
};

export function startRollout(wanted) {
  const [first] = wanted.steps;
  return {
    title: `Start the rollout ${wanted.name}?`,
    says: [
      `Callers of ${wanted.name} get ${wanted.stable}, and ${percent(first, 0)} of their calls go to ${wanted.canary}.`,
      "The canary is watched: it goes on by itself when it is as good, and is rolled back when it is worse.",
    ],
    button: "Start",
    path: "/api/rollouts",
    body: { ...wanted, revision: 0 },
    done: `The rollout ${wanted.name} has begun.`,
  };
}

export function stepRollout(rollout) {
  const share = percent(rollout.steps[rollout.step + 1], 0);
  return {
    ...changeOf(rollout, { step: rollout.step + 1 }),
    title: `Take ${rollout.name} one step on?`,
    says: [`${rollout.canary} gets ${share} of the calls, without waiting for the verdict on this step.`],
    button: `Go to ${share}`,
    done: `${rollout.name} is at ${share}.`,
  };
}

export function promote(rollout) {
  return {
    ...changeOf(rollout, { state: "promoted", reason: "promoted by an operator" }),
    title: `Promote ${rollout.canary}?`,
    says: [`All calls of ${rollout.name} go to ${rollout.canary}, and the rollout is over.`],
    button: "Promote",
    done: `${rollout.name} is ${rollout.canary} now.`,
  };
}

export function rollBack(rollout) {
  return {
    ...changeOf(rollout, { state: "rolled_back", reason: "rolled back by an operator" }),
    title: `Roll ${rollout.name} back?`,
    says: [`All calls of ${rollout.name} go to ${rollout.stable}, and the rollout is over.`],
    grave: true,
    button: "Roll back",
    done: `${rollout.name} is ${rollout.stable} again.`,
  };
}

/** A change names the revision it is based on: one that somebody else made meanwhile is not overwritten. */
function changeOf(rollout, change) {
  return { path: "/api/rollouts", body: { ...rollout, ...change } };
}
