// Links and sockets of our types in colours of their own.
import { app } from "../../scripts/app.js";

const COLOURS = { EYM_BASE: "#b39ddb", EYM_PERSON: "#ffab91", EYM_POSES: "#80cbc4", POSE_KEYPOINT: "#aed581" };

app.registerExtension({
  name: "edit-your-motion.colours",
  setup() {
    Object.assign(app.canvas.default_connection_color_byType, COLOURS);
    Object.assign(app.canvas.constructor.link_type_colors, COLOURS);
  },
});
