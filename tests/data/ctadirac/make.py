"""Makes the descriptions here with CTADIRAC's own classes; run in a folder, with CTADIRAC."""

from pathlib import Path

from CTADIRAC.Interfaces.API.CtapipeMergeJob import CtapipeMergeJob
from CTADIRAC.Interfaces.API.CtapipeProcessJob import CtapipeProcessJob

SHOWER = "/ctao/MC/PROD5/Paranal/gamma/sim_telarray/0000/Data"
METADATA = {
    "array_layout": "Alpha",
    "site": "Paranal",
    "particle": "gamma",
    "phiP": 180,
    "thetaP": 20.0,
    "sct": "False",
    "merged": 0,
}


def make(job, name, inputs, **options):
    job.MCCampaign, job.configuration_id, job.base_path = "PROD5", 8, "/ctao/MC"
    for key, value in options.items():
        setattr(job, key, value)
    job.set_output_metadata(METADATA)
    job.setInputData(inputs)
    job.set_executable_sequence(debug=False)
    folder = Path(name)
    folder.mkdir(exist_ok=True)
    (folder / "jobDescription.xml").write_text(job.workflow.toXML())
    (folder / "job.jdl").write_text(job._toJDL(xmlFile="jobDescription.xml"))


make(
    CtapipeProcessJob(),
    "process",
    [f"{SHOWER}/000xxx/gamma_20deg_180deg_run{n}___cta-prod5-paranal.simtel.zst" for n in (1, 2)],
    version="v0.19.2",
    output_extension="DL2.h5",
    options="-c v3/dl0_to_dl2.yml -c v3/prod5b/subarray_south_alpha_flashcam.yml",
    group_size=5,
)
D = "/ctao/MC/PROD5/Paranal/gamma/ctapipe-process/0000/Data/000xxx"
make(
    CtapipeMergeJob(),
    "merge",
    [f"{D}/gamma_20deg_180deg_run{n}___cta-prod5-paranal.DL2.h5" for n in (1, 2)],
    version="v0.19.2",
    output_extension="merged.DL2.h5",
    options="--no-dl1-images --no-true-images",
    group_size=50,
)
