// Joints as the keypoints file names them, how they hang together, and what a correction does to the frames around it.

export const JOINTS = [
  "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
  "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
  "right_eye", "left_eye", "right_ear", "left_ear",
];

const LIMBS = [
  ["neck", "right_shoulder"], ["right_shoulder", "right_elbow"], ["right_elbow", "right_wrist"],
  ["neck", "left_shoulder"], ["left_shoulder", "left_elbow"], ["left_elbow", "left_wrist"],
  ["neck", "right_hip"], ["right_hip", "right_knee"], ["right_knee", "right_ankle"],
  ["neck", "left_hip"], ["left_hip", "left_knee"], ["left_knee", "left_ankle"],
  ["neck", "nose"], ["nose", "right_eye"], ["right_eye", "right_ear"], ["nose", "left_eye"], ["left_eye", "left_ear"],
];

const colourOf = (joint) => (joint.startsWith("left") ? "#ffb000" : joint.startsWith("right") ? "#3ea6ff" : "#ffffff");

export function isThere(body, joint) {
  return Boolean(body[joint]) && body[joint][2] > 0;
}

// Draws one frame's body; `scale` is pixels of the canvas by pixels of the picture.
export function drawSkeleton(context, body, scale, chosen, corrected) {
  const size = context.canvas.width;
  context.lineWidth = size / 220;
  for (const [from, to] of LIMBS) {
    if (!isThere(body, from) || !isThere(body, to)) continue;
    context.strokeStyle = colourOf(to);
    context.globalAlpha = Math.max(0.25, Math.min(body[from][2], body[to][2]));
    context.beginPath();
    context.moveTo(body[from][0] * scale, body[from][1] * scale);
    context.lineTo(body[to][0] * scale, body[to][1] * scale);
    context.stroke();
  }
  context.globalAlpha = 1;
  for (const joint of JOINTS) {
    if (!isThere(body, joint)) continue;
    const radius = size / (joint === chosen ? 70 : 120);
    context.beginPath();
    context.arc(body[joint][0] * scale, body[joint][1] * scale, radius, 0, 2 * Math.PI);
    context.fillStyle = colourOf(joint);
    context.fill();
    context.lineWidth = size / (corrected.has(joint) ? 200 : 600);
    context.strokeStyle = corrected.has(joint) ? "#00d060" : "#000";
    context.stroke();
  }
}

// The frames that follow a corrected one, and by how much of the correction: falling evenly to nothing at the next
// frame that was itself corrected, or after `reach` frames where there is none.
export function spread(frame, count, others, reach) {
  const weights = new Map([[frame, 1]]);
  for (const way of [-1, 1]) {
    const ahead = others.filter((other) => (other - frame) * way > 0).map((other) => Math.abs(other - frame));
    const end = ahead.length ? Math.min(...ahead) : reach + 1;
    for (let step = 1; step < end; step++) {
      const other = frame + way * step;
      if (other >= 0 && other < count) weights.set(other, 1 - step / end);
    }
  }
  return weights;
}

export function swapSides(row) {
  const other = (joint) => joint.replace(/^(left|right)_/, (_, side) => (side === "left" ? "right_" : "left_"));
  const body = Object.fromEntries(Object.entries(row.body).map(([joint, point]) => [other(joint), point]));
  const { left_hand: left, right_hand: right, ...rest } = row;
  return { ...rest, body, ...(right && { left_hand: right }), ...(left && { right_hand: left }) };
}

export function meanConfidence(row) {
  return JOINTS.reduce((sum, joint) => sum + (isThere(row.body, joint) ? row.body[joint][2] : 0), 0) / JOINTS.length;
}
