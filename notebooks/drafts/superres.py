"""train.py: lesson 08's own cells, from the shipped weights, with so many steps: LEVELS BAND CRITIC."""
import os, sys
os.environ.update(DEMO_BUDGET="full", HF_HUB_OFFLINE="1", MPLBACKEND="agg")
sys.path.insert(0, "/root/hwt"); os.chdir("/root/hwt")
import torch; torch.set_num_threads(1)
a, b, c = sys.argv[1:4]
src = open("/root/hwt/notebooks/src/08_super_resolution.py").read().split("# ## 7. Listen and measure")[0]
src = src.replace("quick=120, full=20_000), 7e-4", f"quick=1, full={a}), 7e-4").replace("quick=30, full=20_000), 3e-4", f"quick=1, full={b}), 3e-4").replace("quick=12, full=20_000), 3e-4", f"quick=1, full={c}), 3e-4")
src = src.replace("corpus.rows(corpus.source(BUDGET), \"train\")", "corpus.rows(\"/work/shared/corpus/voices.parquet\", \"train\")")
src = src.replace("model = SuperRes(SuperResConfig())\n", "model = SuperRes(SuperResConfig()); model.load_state_dict(training.load(CHECKPOINTS / 'superres', SuperRes, SuperResConfig)[0].state_dict())\n")
src = src.replace("every = max(1, steps // 8)", "every = 50")
exec(compile(src, "lesson08", "exec"), globals())
torch.save({"net": model.state_dict(), "done": done}, "/root/sr/final.pt"); print("done", done)
